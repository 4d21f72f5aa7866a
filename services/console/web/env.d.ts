/** Files that the bundler hands over as their address. */
declare module '*?url' {
  const address: string
  export default address
}
declare module '*.css'

/** Trusted Types, as far as they are used here. */
declare type TrustedScriptURL = { readonly __brand: 'TrustedScriptURL' }
declare var trustedTypes:
  | {
      createPolicy(
        name: string,
        rules: { createScriptURL(url: string): string },
      ): { createScriptURL(url: string): TrustedScriptURL }
    }
  | undefined
