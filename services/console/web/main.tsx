import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { ErrorBoundary } from './parts/error-boundary.tsx'
import { texts } from './texts.ts'
import './styles.css'

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <ErrorBoundary
      fallback={
        <div className="broken" role="alert">
          <p>{texts.pageFailed}</p>
          <button type="button" className="primary" onClick={() => location.reload()}>
            {texts.reload}
          </button>
        </div>
      }
    >
      <App />
    </ErrorBoundary>
  </StrictMode>,
)
