"""End-to-end harness for Envoy Gateway on Istio ambient."""
