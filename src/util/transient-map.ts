/**
 * A map of what comes and goes by the thousand per second: open files, requests under way.
 *
 * Why not a Map alone: V8 puts a new table behind it whenever the present one is full of what was deleted, and
 * the old table goes on referring to all that was in it then, and to the new one. Once one such table has
 * been promoted to the old generation of the heap, so is everything that any later one refers to, until the
 * whole heap is collected: short-lived objects cost as much as long-lived ones. The tables of this map refer
 * to places, which are empty once a value was deleted. docs/PERFORMANCE.md has the figures.
 */
interface Place<V> {
  value: V | undefined
}

export class TransientMap<K extends number | string, V extends object> {
  readonly #places = new Map<K, Place<V>>()

  get size(): number {
    return this.#places.size
  }

  get(key: K): V | undefined {
    return this.#places.get(key)?.value
  }

  set(key: K, value: V): void {
    this.delete(key)
    this.#places.set(key, { value })
  }

  /** @returns the value that the key had */
  delete(key: K): V | undefined {
    const place = this.#places.get(key)
    if (place === undefined) return undefined
    this.#places.delete(key)
    const { value } = place
    place.value = undefined
    return value
  }

  /** In the order in which they were set. One that is deleted meanwhile is left out. */
  *values(): Generator<V> {
    for (const { value } of this.#places.values()) if (value !== undefined) yield value
  }
}
