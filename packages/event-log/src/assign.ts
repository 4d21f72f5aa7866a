/**
 * Shares partitions among the members of a group: each goes to a member that wants it, what is owned stays where it is
 * as long as that is balanced, and no member has two more than another who could take one. Deterministic.
 */
export function assign<P, M>(
  partitions: readonly P[],
  members: readonly M[],
  wants: (member: M, partition: P) => boolean,
  current: ReadonlyMap<P, M>,
): Map<P, M> {
  const owners = new Map<P, M>()
  const counts = new Map(members.map((member) => [member, 0]))
  const give = (partition: P, member: M): void => {
    const before = owners.get(partition)
    if (before !== undefined) counts.set(before, counts.get(before)! - 1)
    owners.set(partition, member)
    counts.set(member, counts.get(member)! + 1)
  }
  const idlest = (partition: P): M | undefined => {
    let best: M | undefined
    for (const member of members) {
      if (!wants(member, partition)) continue
      if (best === undefined || counts.get(member)! < counts.get(best)!) best = member
    }
    return best
  }

  for (const partition of partitions) {
    const owner = current.get(partition)
    if (owner !== undefined && counts.has(owner) && wants(owner, partition)) give(partition, owner)
  }
  for (const partition of partitions) {
    const member = owners.has(partition) ? undefined : idlest(partition)
    if (member !== undefined) give(partition, member)
  }
  // Each move makes the counts more even, so this ends.
  for (let moved = true; moved;) {
    moved = false
    for (const [partition, owner] of owners) {
      const member = idlest(partition)!
      if (counts.get(owner)! - counts.get(member)! < 2) continue
      give(partition, member)
      moved = true
    }
  }
  return owners
}
