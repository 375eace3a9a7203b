// Package manifests checks deploy/k8s: it builds the overlays as kubectl does,
// decodes every object strictly and holds the whole against rules of this
// repository.
package manifests
