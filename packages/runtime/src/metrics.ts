import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** What a process counts, in Prometheus' names and base units. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const histogram = <L extends string>(name: string, help: string, labelNames: L[], buckets: number[]) =>
    new Histogram<L>({ name, help, labelNames, buckets, registers })
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter<L>({ name, help, labelNames, registers })

  return {
    registry,
    httpSeconds: histogram(
      'aquifer_http_request_seconds',
      'HTTP requests by route and status.',
      ['method', 'route', 'status'],
      SECONDS,
    ),
    documents: counter('aquifer_documents_total', 'Document versions settled, by state.', ['state']),
    deadLetters: counter('aquifer_dead_letters_total', 'Messages dead-lettered, by topic and cause.', [
      'topic',
      'code',
    ]),
    dependencyFailures: counter(
      'aquifer_dependency_failures_total',
      'Failed calls that are repeated, by service.',
      ['service'],
    ),
    parseSeconds: histogram('aquifer_parse_seconds', 'Parsing and chunking one document.', [], SECONDS),
    chunks: counter('aquifer_chunks_total', 'Chunks indexed, by whether their vector was re-used.', [
      'vector',
    ]),
    embedSeconds: histogram('aquifer_embed_seconds', 'Embedding one batch of chunks.', ['lane'], SECONDS),
    freshnessSeconds: histogram('aquifer_freshness_seconds', 'Publish to visible.', [], SECONDS),
    searchSeconds: histogram('aquifer_search_seconds', 'Retrieval of one question.', ['mode'], SECONDS),
    firstTokenSeconds: histogram(
      'gen_ai_server_time_to_first_token_seconds',
      'Question to first token.',
      ['model'],
      SECONDS,
    ),
    tokensPerSecond: histogram(
      'aquifer_generation_tokens_per_second',
      'Output tokens per second after the first.',
      ['model'],
      [1, 5, 10, 25, 50, 100, 250, 1000, 10_000],
    ),
    tokens: counter('gen_ai_client_token_usage_total', 'Tokens, by direction.', ['model', 'direction']),
    answers: counter('aquifer_answers_total', 'Answers, by outcome.', ['outcome']),
    groundedness: histogram(
      'aquifer_groundedness',
      'Groundedness of evaluated answers.',
      ['prompt', 'model'],
      [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
    ),
    /** Set when scraped. */
    lag: new Gauge({
      name: 'aquifer_consumer_lag',
      help: 'Records waiting, by consumer group.',
      labelNames: ['group'],
      registers,
    }),
  }
}

export type Metrics = ReturnType<typeof createMetrics>
