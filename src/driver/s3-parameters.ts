/**
 * Parameters of distribution's S3 driver that this driver does not have, each with the reason and with
 * what to use instead. Who moves a registry's configuration over is told, and never left to guess.
 *
 * @see https://distribution.github.io/distribution/storage-drivers/s3/
 */
export const S3_ONLY_PARAMETERS: Readonly<Record<string, string>> = {
  accesskey: 'it is called accesskeyid here',
  secretkey: 'it is called accesskeysecret here',
  regionendpoint: 'it is called endpoint here',
  forcepathstyle: 'set addressing to path (or to virtual) instead',
  keyid: 'BOS encrypts with keys of its own: encrypt AES256 or SM4 is all there is to choose',
  v4auth: 'BOS has one way of signing, bce-auth-v1, and it is always used: leave it out',
  accelerate: 'BOS has no transfer acceleration: leave it out, or set endpoint to a nearer host',
  usedualstack: 'BOS has no dual-stack endpoints: leave it out, or set endpoint to an IPv6 host',
  usefipsendpoint: 'BOS has no FIPS endpoints: leave it out',
  loglevel: "the driver logs through its host's logger: use the option log-level",
}
