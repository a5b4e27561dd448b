/** A short soak with a seed of its own each time; see test/soak/driver.ts for the long one. */
import t from 'tap'
import { soak } from '../soak/driver.js'

void t.test('the driver does as the model does, whatever goes wrong under it', async t => {
  const seed = Date.now() % 1_000_000
  t.comment(`npm run soak:driver -- 500 ${seed}`)
  const { differences, faults } = await soak(500, seed)
  t.same(differences, [], `seed ${seed}`)
  t.ok(faults > 0, 'there were faults')
})
