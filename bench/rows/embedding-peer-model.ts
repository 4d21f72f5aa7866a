import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bertConfig } from '@aquifer/models/convert/convert'
import { encodeOnnx } from '@aquifer/models/convert/onnx'
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from '@aquifer/models/convert/onnx'
import { transpose } from '@aquifer/models/convert/quantize'
import { openSafetensors } from '@aquifer/models/convert/safetensors'
import type { Safetensors } from '@aquifer/models/convert/safetensors'
import type { ModelFiles } from '@aquifer/models/pull'

/**
 * The default model as its users find it published for transformers.js: the exporter's plain operators in fp32 (`model.onnx`), and
 * the same after `quantize_dynamic` (`model_quantized.onnx`: int8 weights with one scale a matrix, activations quantized as they
 * come). onnxruntime fuses both when it loads them. Written here, from the same weights, because not every machine that measures
 * reaches the hub.
 */
export async function writePeerModel(model: ModelFiles, dir: string): Promise<void> {
  await mkdir(join(dir, 'onnx'), { recursive: true })
  await copyFile(join(model.dir, 'config.json'), join(dir, 'config.json'))
  await copyFile(model.tokenizer, join(dir, 'tokenizer.json'))
  await writeFile(join(dir, 'tokenizer_config.json'), JSON.stringify(TOKENIZER))
  const weights = openSafetensors(model.safetensors)
  try {
    for (const [name, quantized] of [
      ['model.onnx', false],
      ['model_quantized.onnx', true],
    ] as const)
      await writeFile(join(dir, 'onnx', name), encodeOnnx(plainGraph(model, weights, quantized)))
  } finally {
    weights.close()
  }
}

const TOKENIZER = {
  tokenizer_class: 'BertTokenizer',
  do_lower_case: true,
  model_max_length: 512,
  cls_token: '[CLS]',
  sep_token: '[SEP]',
  pad_token: '[PAD]',
  unk_token: '[UNK]',
  mask_token: '[MASK]',
}

const FLOAT: OnnxAttribute = { int: 1 }
const LEAST_FLOAT = -3.4028234663852886e38

interface Graph {
  readonly weights: Safetensors
  readonly quantized: boolean
  readonly nodes: OnnxNode[]
  readonly initializers: OnnxTensor[]
}

/** input_ids, attention_mask, token_type_ids int64 [batch, seq] → last_hidden_state float32 [batch, seq, dimensions]. */
function plainGraph(model: ModelFiles, weights: Safetensors, quantized: boolean): OnnxModel {
  const { heads, layers, dimensions, epsilon } = bertConfig(model)
  const graph: Graph = { weights, quantized, nodes: [], initializers: [] }
  const width = dimensions / heads
  const split = integers(graph, 'split', [0, 0, heads, width])
  const join_ = integers(graph, 'join', [0, 0, dimensions])
  const mask = attentionMask(graph)
  let hidden = norm(graph, embeddings(graph), 'embeddings.LayerNorm', epsilon)
  for (let layer = 0; layer < layers; layer++) {
    const own = `encoder.layer.${layer}`
    const part = (name: string, perm: readonly number[]): string => {
      const projected = linear(graph, hidden, `${own}.attention.self.${name}`)
      return node(graph, 'Transpose', [node(graph, 'Reshape', [projected, split])], { perm: { ints: perm } })
    }
    const products = node(graph, 'MatMul', [part('query', [0, 2, 1, 3]), part('key', [0, 2, 3, 1])])
    const scaled = node(graph, 'Div', [products, scalar(graph, 'root', Math.sqrt(width))])
    const shares = node(graph, 'Softmax', [node(graph, 'Add', [scaled, mask])], { axis: { int: -1 } })
    const mixed = node(graph, 'MatMul', [shares, part('value', [0, 2, 1, 3])])
    const apart = node(graph, 'Transpose', [mixed], { perm: { ints: [0, 2, 1, 3] } })
    const attended = node(graph, 'Reshape', [apart, join_])
    const output = `${own}.attention.output`
    const sum = node(graph, 'Add', [linear(graph, attended, `${output}.dense`), hidden])
    const middle = norm(graph, sum, `${output}.LayerNorm`, epsilon)
    const active = gelu(graph, linear(graph, middle, `${own}.intermediate.dense`))
    const narrow = linear(graph, active, `${own}.output.dense`)
    hidden = norm(graph, node(graph, 'Add', [narrow, middle]), `${own}.output.LayerNorm`, epsilon)
  }
  graph.nodes.push({
    op: 'Identity',
    domain: '',
    inputs: [hidden],
    outputs: ['last_hidden_state'],
    attributes: {},
  })
  return {
    producerVersion: '1',
    opsets: { '': 17 },
    graph: {
      name: 'bert',
      nodes: graph.nodes,
      initializers: graph.initializers,
      inputs: ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({
        name,
        type: 'int64',
        dims: ['batch', 'seq'],
      })),
      outputs: [{ name: 'last_hidden_state', type: 'float32', dims: ['batch', 'seq', dimensions] }],
    },
  }
}

/** 0 for a token, the least float for padding, to be added to the products. */
function attentionMask(graph: Graph): string {
  const raised = node(graph, 'Unsqueeze', ['attention_mask', integers(graph, 'middle', [1, 2])])
  const absent = node(graph, 'Sub', [scalar(graph, 'one', 1), node(graph, 'Cast', [raised], { to: FLOAT })])
  return node(graph, 'Mul', [absent, scalar(graph, 'least', LEAST_FLOAT)])
}

function embeddings(graph: Graph): string {
  const table = (name: string): string => tensor(graph, `embeddings.${name}_embeddings.weight`)
  const words = node(graph, 'Gather', [table('word'), 'input_ids'])
  const types = node(graph, 'Gather', [table('token_type'), 'token_type_ids'])
  const [zero, first, second] = [0, 1, 2].map((value) => integers(graph, `at${value}`, [value]))
  const length = node(graph, 'Slice', [node(graph, 'Shape', ['input_ids']), first!, second!])
  const places = node(graph, 'Slice', [table('position'), zero!, length, zero!])
  return node(graph, 'Add', [node(graph, 'Add', [words, types]), places])
}

function norm(graph: Graph, input: string, name: string, epsilon: number): string {
  const inputs = [input, tensor(graph, `${name}.weight`), tensor(graph, `${name}.bias`)]
  return node(graph, 'LayerNormalization', inputs, { axis: { int: -1 }, epsilon: { float: epsilon } })
}

function gelu(graph: Graph, input: string): string {
  const error = node(graph, 'Erf', [node(graph, 'Div', [input, scalar(graph, 'root2', Math.SQRT2)])])
  const raised = node(graph, 'Add', [error, scalar(graph, 'one', 1)])
  return node(graph, 'Mul', [node(graph, 'Mul', [input, raised]), scalar(graph, 'half', 0.5)])
}

function linear(graph: Graph, input: string, name: string): string {
  const raw = graph.weights.float32(`${name}.weight`)
  const [outputs, inputs] = graph.weights.tensors.get(`${name}.weight`)!.shape as [number, number]
  const weight = transpose(raw, outputs, inputs)
  const shape = [inputs, outputs]
  const product = graph.quantized
    ? quantizedProduct(graph, input, name, shape, weight)
    : node(graph, 'MatMul', [input, constant(graph, `${name}.weight`, shape, weight)])
  return node(graph, 'Add', [tensor(graph, `${name}.bias`), product])
}

function quantizedProduct(
  graph: Graph,
  input: string,
  name: string,
  shape: number[],
  weight: Float32Array,
): string {
  const scale = weight.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127
  const values = Int8Array.from(weight, (value) => Math.round(value / scale))
  const [steps, stepSize, zero] = ['', '.scale', '.zero'].map((part) => `${input}.quantized${part}`)
  // Query, key and value have theirs in common.
  if (!graph.nodes.some(({ outputs }) => outputs[0] === steps))
    graph.nodes.push({
      op: 'DynamicQuantizeLinear',
      domain: '',
      inputs: [input],
      outputs: [steps!, stepSize!, zero!],
      attributes: {},
    })
  const none = constant(graph, `${name}.zero`, [], Int8Array.of(0))
  const sums = node(graph, 'MatMulInteger', [
    steps!,
    constant(graph, `${name}.weight`, shape, values),
    zero!,
    none,
  ])
  const both = node(graph, 'Mul', [stepSize!, scalar(graph, `${name}.scale`, scale)])
  return node(graph, 'Mul', [node(graph, 'Cast', [sums], { to: FLOAT }), both])
}

function node(
  graph: Graph,
  op: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, OnnxAttribute>> = {},
): string {
  const output = `${op}.${graph.nodes.length}`
  graph.nodes.push({ op, domain: '', inputs, outputs: [output], attributes })
  return output
}

function constant(
  graph: Graph,
  name: string,
  dims: readonly number[],
  data: Float32Array | Int8Array | BigInt64Array,
): string {
  if (!graph.initializers.some((known) => known.name === name)) graph.initializers.push({ name, dims, data })
  return name
}

const scalar = (graph: Graph, name: string, value: number): string =>
  constant(graph, name, [], Float32Array.of(value))

const integers = (graph: Graph, name: string, values: readonly number[]): string =>
  constant(graph, name, [values.length], BigInt64Array.from(values, BigInt))

const tensor = (graph: Graph, name: string): string =>
  constant(graph, name, graph.weights.tensors.get(name)!.shape, graph.weights.float32(name))
