"""Where trajectories live: layout → shards → commit, so that nothing half-written can be read as data.

    write  <name>.zarr.partial   shard by shard, finished blocks recorded beside it
    seal   every shard there, decodable, finite; digests; fsync; rename to <name>.zarr
    last   <name>.manifest.json  what the store holds, with a digest of each of its files

`layout` creates and writes stores, `manifest` seals, verifies and opens them, `ledger` remembers finished blocks,
`atomic` replaces single files and `fingerprint` names what a store was made from.

A store may also lie at a URL: `place` reaches it, `draft` sends what is finished there in place of the rename,
`reading` hands it to Zarr, and `outdated` remembers what is to be deleted.
"""
