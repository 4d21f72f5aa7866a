import {
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { Attributes } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base'
import { errorMessage } from './errors.ts'

/** Where one piece of work stands in its trace; goes into event headers and comes out of them. */
export interface Trace {
  /** W3C `traceparent`. */
  readonly traceparent: string
  readonly traceId: string
}

export interface Tracing {
  /** Runs `work` in a span below `parent` (a `traceparent`, or none for a new trace). */
  span<T>(
    name: string,
    parent: string | undefined,
    attributes: Attributes,
    work: (trace: Trace) => Promise<T>,
  ): Promise<T>
  shutdown(): Promise<void>
}

export function createTracing(spanProcessors: SpanProcessor[] = []): Tracing {
  const provider = new BasicTracerProvider({ spanProcessors })
  const tracer = provider.getTracer('aquifer')
  const propagator = new W3CTraceContextPropagator()

  return {
    async span(name, parent, attributes, work) {
      const above = parent
        ? propagator.extract(ROOT_CONTEXT, { traceparent: parent }, defaultTextMapGetter)
        : ROOT_CONTEXT
      const span = tracer.startSpan(name, { attributes }, above)
      const carrier: { traceparent?: string } = {}
      propagator.inject(trace.setSpan(above, span), carrier, defaultTextMapSetter)
      try {
        return await work({ traceparent: carrier.traceparent ?? '', traceId: span.spanContext().traceId })
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: errorMessage(error) })
        throw error
      } finally {
        span.end()
      }
    },
    shutdown: async () => await provider.shutdown(),
  }
}
