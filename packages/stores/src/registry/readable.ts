/** May someone of these groups (null: an admin) see what holds this access list? */
export function readable(
  held: { readonly access: readonly string[] | null } | null,
  groups: readonly string[] | null,
): boolean {
  return groups === null || !held?.access || held.access.some((group) => groups.includes(group))
}
