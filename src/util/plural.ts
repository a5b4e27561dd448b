/** A number with its noun. */

/** `1 file`, `2 files`; a noun with another plural is given with it. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
