import assigner from 'kafkajs/src/consumer/assignerProtocol.js'
import type { GroupProtocol } from 'kafkajs/src/cluster/index.js'
import { assign } from '../assign.ts'

/** Members that know another protocol cannot join, so a changed one needs a new name. */
const PROTOCOL = 'aquifer-cooperative-1'
const VERSION = 1

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** What a member tells the others when it joins. */
export interface Claim {
  /** None where it is about to leave. */
  readonly topics: readonly string[]
  /** What it delivers from, or has not let go of yet. */
  readonly owned: readonly TopicPartition[]
  /** Of the group when it was given them; -1 before the first. */
  readonly generation: number
}

/** In Kafka's own encoding of a consumer's membership, so that its tools can show the group. */
export function encodeClaim({ topics, owned, generation }: Claim): GroupProtocol {
  const userData = Buffer.from(JSON.stringify({ generation, owned }))
  return { name: PROTOCOL, metadata: assigner.MemberMetadata.encode({ version: VERSION, topics, userData }) }
}

export function decodeClaim(metadata: Buffer): Claim {
  const { topics, userData } = assigner.MemberMetadata.decode(metadata)
  const { generation, owned } = JSON.parse(String(userData)) as Pick<Claim, 'owned' | 'generation'>
  return { topics, owned, generation }
}

export function encodeAssignment(partitions: readonly TopicPartition[]): Buffer {
  const assignment: Record<string, number[]> = {}
  for (const { topic, partition } of partitions) (assignment[topic] ??= []).push(partition)
  return assigner.MemberAssignment.encode({ version: VERSION, assignment })
}

export function decodeAssignment(bytes: Buffer): TopicPartition[] {
  const assignment = assigner.MemberAssignment.decode(bytes)?.assignment ?? {}
  return Object.entries(assignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  )
}

/**
 * Who delivers what from now on, by member. A partition that is to move is given to nobody until its owner has let go of it
 * and joins again without it, so that it never has two (L4), and the others are delivered without a break.
 */
export function shareOut(
  claims: ReadonlyMap<string, Claim>,
  partitions: readonly TopicPartition[],
): Map<string, TopicPartition[]> {
  const members = [...claims.keys()].toSorted()
  const byName = new Map(partitions.map((one) => [nameOf(one), one]))
  const owners = new Map<string, string>()
  // Where two say that they own it, the one with the newer generation does.
  const byAge = members.toSorted((a, b) => claims.get(a)!.generation - claims.get(b)!.generation)
  for (const member of byAge) for (const one of claims.get(member)!.owned) owners.set(nameOf(one), member)
  const wants = (member: string, name: string): boolean =>
    claims.get(member)!.topics.includes(byName.get(name)!.topic)
  const targets = assign([...byName.keys()], members, wants, owners)
  const shares = new Map(members.map((member): [string, TopicPartition[]] => [member, []]))
  for (const [name, member] of targets)
    if ((owners.get(name) ?? member) === member) shares.get(member)!.push(byName.get(name)!)
  return shares
}

export const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`
