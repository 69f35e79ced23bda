"""Where results live. Trajectories: layout → shards → publish, so that nothing half-written can be read as data.

    write  <name>.zarr.partial   shard by shard, finished blocks recorded beside it
    seal   every shard there, decodable, finite; digests; fsync; rename to <name>.zarr
    last   <name>.manifest.json  what the store holds, with a digest of each of its files

`layout` creates and writes stores, `manifest` seals, verifies and opens them, `blocks` remembers finished blocks and
`fingerprint` names what a store was made from.

A store may also lie at a URL: `location` reaches it, `staging` sends what is finished there in place of the rename and
remembers what is to be deleted, `reading` hands it to Zarr.

Of all results `results` says where they lie, `sealed` keeps single files with their digests, and `audit` compares them.
"""
