"""Where results live. Trajectories: layout → blocks → publish, so that nothing half-written can be read as data.

    write  each shard once, encoded and digested in memory; finished blocks recorded in <name>.zarr.partial.blocks
    where  <name>.zarr.partial on this machine, the final place at a URL
    seal   every file there with its size; rename to <name>.zarr
    last   <name>.manifest.json  what the store holds, with a digest of each of its files

`layout` encodes and writes stores, `blocks` remembers finished blocks, `publish` seals, `manifest` opens and verifies,
and `fingerprint` names what a store was made from.

A store may also lie at a URL: `location` reaches it, `garbage` remembers what is to be deleted there, `reading`
hands it to Zarr.

Of all results `results` says where they lie, `sealed` keeps single files with their digests, and `audit` compares them.
"""
