import type { ReactNode } from 'react'

function Icon({ children }: { readonly children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  )
}

export const SendIcon = () => (
  <Icon>
    <path d="M12 19V5M5.500 11.500 12 5l6.500 6.500" />
  </Icon>
)
export const StopIcon = () => (
  <Icon>
    <rect x="7" y="7" width="10" height="10" rx="1.500" fill="currentColor" />
  </Icon>
)
export const PlusIcon = () => (
  <Icon>
    <path d="M12 5v14M5 12h14" />
  </Icon>
)
export const CloseIcon = () => (
  <Icon>
    <path d="m6 6 12 12M18 6 6 18" />
  </Icon>
)
export const AddFileIcon = () => (
  <Icon>
    <path d="M20 11.500 12.200 19.300a5 5 0 0 1-7.100-7.100l8.200-8.200a3.300 3.300 0 0 1 4.700 4.700l-8.200 8.200a1.700 1.700 0 0 1-2.400-2.400l7.400-7.300" />
  </Icon>
)
export const DocumentsIcon = () => (
  <Icon>
    <path d="M13.500 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8.500zM13.500 3v5.500H19M9 13h6M9 17h4" />
  </Icon>
)
export const SunIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="4" />
    <path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600 7 7M17 17l1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400" />
  </Icon>
)
export const MoonIcon = () => (
  <Icon>
    <path d="M20 14.500A8.200 8.200 0 0 1 9.500 4 8.200 8.200 0 1 0 20 14.500z" />
  </Icon>
)
export const ThumbIcon = ({ down = false }: { readonly down?: boolean }) => (
  <Icon>
    <path
      {...(down ? { transform: 'rotate(180 12 12)' } : {})}
      d="M7 10.500V20H4v-9.500zM7 10.500 11 3.500a2 2 0 0 1 2 2V9h5.300a2 2 0 0 1 2 2.400l-1.300 6.900a2 2 0 0 1-2 1.700H7"
    />
  </Icon>
)
export const TrashIcon = () => (
  <Icon>
    <path d="M4 7h16M9.500 7V4.500h5V7M6.500 7l.8 12.500h9.400L17.500 7M10.300 11v5M13.700 11v5" />
  </Icon>
)
export const CheckIcon = () => (
  <Icon>
    <path d="m5 12.500 4.500 4.500L19 7.500" />
  </Icon>
)
export const WarnIcon = () => (
  <Icon>
    <path d="M12 4 2.800 19.500h18.400zM12 10v4.500M12 17v.2" />
  </Icon>
)
export const DropIcon = () => (
  <Icon>
    <path d="M12 3.500c4 4.800 6 8.100 6 11a6 6 0 0 1-12 0c0-2.900 2-6.200 6-11z" />
  </Icon>
)
export const BackIcon = () => (
  <Icon>
    <path d="m14.500 5.500-6.500 6.500 6.500 6.500" />
  </Icon>
)
export const ForwardIcon = () => (
  <Icon>
    <path d="m9.500 5.500 6.500 6.500-6.500 6.500" />
  </Icon>
)
export const DownloadIcon = () => (
  <Icon>
    <path d="M12 4v11M7 11l5 5 5-5M5 20h14" />
  </Icon>
)
