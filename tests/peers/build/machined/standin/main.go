// Standin is what a real machined needs around it and can't have on a machine that is no node: a container without a
// container runtime, a registry that serves an image made from one program, and a kubelet that only says that it is healthy.
//
//	standin node ROOT HOSTNAME                               becomes a Talos container in the namespaces it runs in
//	standin registry ADDRESS:PORT NAME:TAG=PROGRAM=PATH...   serves each PROGRAM as an image that has it at PATH
//	kubelet ...                                              answers /healthz on 127.0.0.1:10248
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

func main() {
	if filepath.Base(os.Args[0]) == "kubelet" {
		log.Fatal(kubelet())
	}

	switch {
	case len(os.Args) >= 4 && os.Args[1] == "registry":
		log.Fatal(registry(os.Args[2], os.Args[3:]))
	case len(os.Args) == 4 && os.Args[1] == "node":
		log.Fatal(node(os.Args[2], os.Args[3]))
	default:
		log.Fatal("usage: standin registry ADDRESS:PORT NAME:TAG=PROGRAM=PATH... | standin node ROOT HOSTNAME")
	}
}

func kubelet() error {
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })

	return http.ListenAndServe("127.0.0.1:10248", nil)
}

// blob is something that a registry serves by its digest.
type blob struct {
	mediaType string
	bytes     []byte
}

func (b blob) digest() string {
	sum := sha256.Sum256(b.bytes)

	return "sha256:" + hex.EncodeToString(sum[:])
}

func (b blob) descriptor() map[string]any {
	return map[string]any{"mediaType": b.mediaType, "digest": b.digest(), "size": len(b.bytes)}
}

func registry(at string, images []string) error {
	served := map[string]blob{}

	for _, image := range images {
		parts := strings.SplitN(image, "=", 3)
		if len(parts) != 3 {
			return fmt.Errorf("%q is not NAME:TAG=PROGRAM=PATH", image)
		}

		name, tag, _ := strings.Cut(parts[0], ":")

		layer, config, manifest, err := pack(parts[1], parts[2])
		if err != nil {
			return err
		}

		served[fmt.Sprintf("/v2/%s/manifests/%s", name, tag)] = manifest
		served[fmt.Sprintf("/v2/%s/manifests/%s", name, manifest.digest())] = manifest
		served[fmt.Sprintf("/v2/%s/blobs/%s", name, layer.digest())] = layer
		served[fmt.Sprintf("/v2/%s/blobs/%s", name, config.digest())] = config
	}

	return http.ListenAndServe(at, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, ok := served[r.URL.Path]

		switch {
		case r.URL.Path == "/v2/":
		case !ok:
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", found.mediaType)
			w.Header().Set("Docker-Content-Digest", found.digest())
			w.Header().Set("Content-Length", fmt.Sprint(len(found.bytes)))

			if r.Method != http.MethodHead {
				w.Write(found.bytes) //nolint:errcheck
			}
		}
	}))
}

// pack makes an image of one layer with one program in it.
func pack(program, path string) (layer, config, manifest blob, err error) {
	layer.mediaType, config.mediaType, manifest.mediaType = layerType, configType, manifestType

	content, err := os.ReadFile(program)
	if err != nil {
		return
	}

	var archive bytes.Buffer

	files := tar.NewWriter(&archive)
	path = strings.TrimPrefix(path, "/")

	for at, char := range path {
		if char == '/' {
			folder := &tar.Header{Name: path[:at+1], Mode: 0o755, Typeflag: tar.TypeDir}
			if err = files.WriteHeader(folder); err != nil {
				return
			}
		}
	}

	if err = files.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(content))}); err != nil {
		return
	}

	if _, err = files.Write(content); err != nil {
		return
	}

	if err = files.Close(); err != nil {
		return
	}

	layer.bytes = archive.Bytes()

	config.bytes, err = json.Marshal(map[string]any{
		"architecture": "amd64",
		"os":           "linux",
		"config":       map[string]any{"Cmd": []string{"/" + path}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{layer.digest()}},
	})
	if err != nil {
		return
	}

	manifest.bytes, err = json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        config.descriptor(),
		"layers":        []any{layer.descriptor()},
	})

	return
}
