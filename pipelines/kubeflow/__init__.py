"""Both pipelines for Kubeflow."""
