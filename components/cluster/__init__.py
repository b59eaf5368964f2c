"""Components for a cluster's pipeline backend, which runs containers and importers and no more.

TFX's local runner resolves earlier artifacts in its own store and calls a component's driver before
its executor. Kubeflow Pipelines does neither: its backend refuses resolvers
(`backend/src/v2/compiler/visitor.go`: "non-container and non-importer executor not implemented"),
and has no hook for a driver. What these components need they find themselves, at addresses that are
parameters of the run.
"""
