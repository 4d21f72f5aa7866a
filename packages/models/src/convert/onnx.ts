import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'

/** The ONNX format as plain data, and its bytes. */
export interface OnnxModel {
  readonly graph: OnnxGraph
  /** Operator sets by domain; the empty domain is ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>
  readonly producerVersion: string
}

export interface OnnxGraph {
  readonly name: string
  readonly nodes: readonly OnnxNode[]
  readonly initializers: readonly OnnxTensor[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
}

export interface OnnxNode {
  readonly op: string
  readonly domain: string
  /** An empty name leaves an optional input out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, OnnxAttribute>>
}

export type OnnxAttribute =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly ints: readonly number[] }

export type OnnxTensor = { readonly name: string; readonly dims: readonly number[] } & (
  | { readonly data: Float32Array | Int8Array | Uint8Array | BigInt64Array }
  /** float32 values that stand in another file of the graph's folder. */
  | { readonly file: string; readonly offsetBytes: number; readonly lengthBytes: number }
)

export interface OnnxValue {
  readonly name: string
  readonly type: 'float32' | 'int32' | 'int64'
  /** A string names a free dimension. */
  readonly dims: readonly (number | string)[]
}

const DATA_TYPE = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const
const ATTRIBUTE_TYPE = { float: 1, int: 2, ints: 7 } as const
const EXTERNAL = 1
/** The oldest that knows every operator used here, so that older runtimes read it too. */
const IR_VERSION = 8

export function encodeOnnx(model: OnnxModel): Uint8Array {
  const { root } = protobuf.parse(readFileSync(new URL('onnx.proto', import.meta.url), 'utf8'), {
    keepCase: true,
  })
  const type = root.lookupType('onnx.Model')
  return type
    .encode({
      ir_version: IR_VERSION,
      producer_name: 'aquifer',
      producer_version: model.producerVersion,
      opset_import: Object.entries(model.opsets).map(([domain, version]) => ({ domain, version })),
      graph: {
        name: model.graph.name,
        node: model.graph.nodes.map(nodeMessage),
        initializer: model.graph.initializers.map(tensorMessage),
        input: model.graph.inputs.map(valueMessage),
        output: model.graph.outputs.map(valueMessage),
      },
    })
    .finish()
}

function nodeMessage(node: OnnxNode) {
  return {
    input: node.inputs,
    output: node.outputs,
    name: node.outputs[0],
    op_type: node.op,
    domain: node.domain,
    attribute: Object.entries(node.attributes).map(([name, value]) => ({ name, ...attributeValue(value) })),
  }
}

function attributeValue(value: OnnxAttribute) {
  if ('float' in value) return { f: value.float, type: ATTRIBUTE_TYPE.float }
  if ('int' in value) return { i: value.int, type: ATTRIBUTE_TYPE.int }
  return { ints: value.ints, type: ATTRIBUTE_TYPE.ints }
}

function tensorMessage(tensor: OnnxTensor) {
  const { name, dims } = tensor
  if ('file' in tensor) {
    const entries = { location: tensor.file, offset: tensor.offsetBytes, length: tensor.lengthBytes }
    return {
      name,
      dims,
      data_type: DATA_TYPE.float32,
      data_location: EXTERNAL,
      external_data: Object.entries(entries).map(([key, value]) => ({ key, value: String(value) })),
    }
  }
  const { data } = tensor
  return {
    name,
    dims,
    data_type: dataType(data),
    raw_data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }
}

function dataType(data: Float32Array | Int8Array | Uint8Array | BigInt64Array): number {
  if (data instanceof Float32Array) return DATA_TYPE.float32
  if (data instanceof Int8Array) return DATA_TYPE.int8
  return data instanceof Uint8Array ? DATA_TYPE.uint8 : DATA_TYPE.int64
}

function valueMessage({ name, type, dims }: OnnxValue) {
  const dim = dims.map((size) => (typeof size === 'number' ? { dim_value: size } : { dim_param: size }))
  return { name, type: { tensor_type: { elem_type: DATA_TYPE[type], shape: { dim } } } }
}
