/** How much the journal may hold. */
import t from 'tap'
import { Room, type RoomOptions } from '../../src/journal/room.js'
import { GiB, MiB } from '../../src/util/units.js'
import { failure } from '../driver/helpers.js'

function makeRoom(options: Partial<RoomOptions> = {}): { room: Room; hurries: () => number } {
  let hurries = 0
  const hurry = (): void => void (hurries += 1)
  const free = async (): Promise<number> => GiB
  const isComing = (): boolean => true
  const room = new Room({ limit: 10 * MiB, patience: 5000, isComing, free, hurry, ...options })
  return { room, hurries: () => hurries }
}

void t.test('whoever finds no room waits until there is some', async t => {
  const { room, hurries } = makeRoom()
  await room.reserve(8 * MiB, '/a')
  t.ok(room.isTight)
  const waiting = room.reserve(4 * MiB, '/b')
  await new Promise(resolve => setImmediate(resolve))
  await new Promise(resolve => setImmediate(resolve))
  t.equal(room.used, 8 * MiB)
  t.ok(hurries() > 0, 'somebody is told to make room')
  room.release(8 * MiB)
  await waiting
  t.equal(room.used, 4 * MiB)
  t.ok(room.takes(2 * MiB))
  t.notOk(room.takes(3 * MiB), 'what would fill it is not for it')
})

void t.test('nobody waits for ever', async t => {
  const { room } = makeRoom({ patience: 30 })
  await room.reserve(10 * MiB, '/a')
  t.match(await failure(room.reserve(1, '/b')), { code: 'QUOTA', path: '/b' })
  const signal = AbortSignal.timeout(10)
  const { room: patient } = makeRoom()
  await patient.reserve(10 * MiB, '/a')
  t.match(await failure(patient.reserve(1, '/b', signal)), { name: 'TimeoutError' })
  t.equal(patient.used, 10 * MiB)
})

void t.test('on a full disk nobody waits for long while nothing is pending', async t => {
  let left = 66 * MiB
  const free = async (): Promise<number> => left
  const { room } = makeRoom({ patience: 3_600_000, isComing: () => false, free })
  await room.reserve(MiB, '/written')
  left = 0
  const refused = { code: 'QUOTA', path: '/other', message: /the disk is full/ }
  t.match(await failure(room.reserve(1, '/other')), refused)
})

void t.test('a writer waits for a file that is open, of which nothing is pending yet', async t => {
  const { room } = makeRoom({ isComing: () => false, patience: 60_000 })
  await room.reserve(10 * MiB, '/open')
  const waiting = room.reserve(MiB, '/other')
  const LONGER_THAN_ON_A_FULL_DISK = 1500
  await new Promise(resolve => setTimeout(resolve, LONGER_THAN_ON_A_FULL_DISK))
  room.release(10 * MiB)
  await waiting
  t.equal(room.used, MiB)
})

void t.test('some of the disk stays free', async t => {
  const { room } = makeRoom({ free: async () => 65 * MiB, patience: 30 })
  await room.reserve(MiB / 2, '/a')
  t.match(await failure(room.reserve(2 * MiB, '/b')), { code: 'QUOTA' })
  const { room: empty } = makeRoom({ free: async () => 0 })
  t.match(await failure(empty.reserve(1, '/c')), { message: /the disk is full/ })
})
