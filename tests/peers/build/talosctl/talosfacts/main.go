// talosfacts tells what Talos' own library knows, as the lab has to know it:
//
//	talosfacts resources                          the definition of every resource type, one line of JSON each
//	talosfacts keys                               the keys of every config document, as a tree
//	talosfacts judge TALOSCONFIG ENDPOINT         decodes every resource that a node serves, and names what does not fit
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/config/types/block"
	"github.com/siderolabs/talos/pkg/machinery/config/types/hardware"
	"github.com/siderolabs/talos/pkg/machinery/config/types/network"
	"github.com/siderolabs/talos/pkg/machinery/config/types/runtime"
	"github.com/siderolabs/talos/pkg/machinery/config/types/runtime/extensions"
	"github.com/siderolabs/talos/pkg/machinery/config/types/security"
	"github.com/siderolabs/talos/pkg/machinery/config/types/siderolink"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"gopkg.in/yaml.v3"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "resources":
		return resources()
	case len(args) == 1 && args[0] == "keys":
		return keys()
	case len(args) == 3 && args[0] == "judge":
		return judge(args[1], args[2])
	}
	return fmt.Errorf("usage: talosfacts resources | keys | judge TALOSCONFIG ENDPOINT")
}

func resources() error {
	out := json.NewEncoder(os.Stdout)
	for _, r := range types {
		spec := r.ResourceDefinition()
		if err := spec.Fill(); err != nil {
			return err
		}
		if err := out.Encode(spec); err != nil {
			return err
		}
	}
	return nil
}

// Every document that Talos v1.10.6 registers, by its kind.
var documents = map[string]any{
	"":                           v1alpha1.Config{},
	"EthernetConfig":             network.EthernetConfigV1Alpha1{},
	"EventSinkConfig":            runtime.EventSinkV1Alpha1{},
	"ExtensionServiceConfig":     extensions.ServiceConfigV1Alpha1{},
	"KmsgLogConfig":              runtime.KmsgLogV1Alpha1{},
	"KubeSpanEndpointsConfig":    network.KubespanEndpointsConfigV1Alpha1{},
	"NetworkDefaultActionConfig": network.DefaultActionConfigV1Alpha1{},
	"NetworkRuleConfig":          network.RuleConfigV1Alpha1{},
	"PCIDriverRebindConfig":      hardware.PCIDriverRebindConfigV1Alpha1{},
	"SideroLinkConfig":           siderolink.ConfigV1Alpha1{},
	"TrustedRootsConfig":         security.TrustedRootsConfigV1Alpha1{},
	"UserVolumeConfig":           block.UserVolumeConfigV1Alpha1{},
	"VolumeConfig":               block.VolumeConfigV1Alpha1{},
	"WatchdogTimerConfig":        runtime.WatchdogTimerV1Alpha1{},
}

func keys() error {
	all := map[string]any{}
	for kind, document := range documents {
		all[kind] = tree(reflect.TypeOf(document))
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	return out.Encode(all)
}

// custom says whether a type reads its YAML itself; the decoder has two forms of UnmarshalYAML.
func custom(typ reflect.Type) bool {
	_, yaml := reflect.PointerTo(typ).MethodByName("UnmarshalYAML")
	_, text := reflect.PointerTo(typ).MethodByName("UnmarshalText")
	return yaml || text
}

// tree describes what may stand for a value: an object for a mapping ("*" is any key), a list of one for a list, else
// the name of a scalar. It sees types as the decoder's check for unknown keys does (config/configloader).
func tree(typ reflect.Type) any {
	switch typ.Kind() {
	case reflect.Pointer:
		return tree(typ.Elem())
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Uint8 {
			return "any"
		}
		return []any{tree(typ.Elem())}
	case reflect.Map:
		return map[string]any{"*": tree(typ.Elem())}
	case reflect.Struct:
		found := map[string]any{}
		for _, field := range reflect.VisibleFields(typ) {
			name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			switch {
			case name == "-" || !field.IsExported() || field.Anonymous && options == "":
			case strings.Contains(options, "inline") && field.Type.Kind() == reflect.Map:
				return tree(field.Type)
			case strings.Contains(options, "inline"):
				if inner, ok := tree(field.Type).(map[string]any); ok {
					for key, value := range inner {
						found[key] = value
					}
				}
			case len(field.Index) > 1:
				// Of an embedded struct, which is either inlined or read by a decoder of its own.
			case name != "":
				found[name] = tree(field.Type)
			default:
				found[strings.ToLower(field.Name)] = tree(field.Type)
			}
		}
		if custom(typ) && len(found) == 0 {
			return "any"
		}
		return found
	case reflect.Bool:
		return "bool"
	case reflect.String:
		if custom(typ) {
			return "any"
		}
		return "string"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if custom(typ) || typ.PkgPath() == "time" {
			return "any"
		}
		return typ.Kind().String()
	default:
		return "any"
	}
}

// judge lists every type of a node twice, decoded by Talos' own types and as the node's YAML, and compares.
func judge(talosconfig, endpoint string) error {
	ctx := context.Background()
	node, err := client.New(ctx, client.WithConfigFromFile(talosconfig), client.WithEndpoints(endpoint))
	if err != nil {
		return err
	}
	defer node.Close() //nolint:errcheck
	definitions, err := safe.StateListAll[*meta.ResourceDefinition](ctx, node.COSI)
	if err != nil {
		return fmt.Errorf("definitions: %w", err)
	}
	wrong, judged := 0, 0
	for definition := range definitions.All() {
		spec := definition.TypedSpec()
		kind := resource.NewMetadata(spec.DefaultNamespace, spec.Type, "", resource.VersionUndefined)
		shown, err := node.COSI.List(ctx, kind, state.WithListUnmarshalOptions(state.WithSkipProtobufUnmarshal()))
		if err != nil {
			return fmt.Errorf("%s: %w", spec.Type, err)
		}
		typed, err := node.COSI.List(ctx, kind)
		if err != nil {
			fmt.Printf("%s: %v\n", spec.Type, err)
			wrong++
			continue
		}
		for i, item := range typed.Items {
			judged++
			if i >= len(shown.Items) {
				break
			}
			ours, theirs := text(item.Spec()), text(shown.Items[i].Spec())
			// A definition has one key that its protobuf has not.
			if ours != theirs && spec.Type != meta.ResourceDefinitionType {
				wrong++
				fmt.Printf("%s %s: protobuf says\n%sand YAML says\n%s", spec.Type, item.Metadata().ID(), ours, theirs)
			}
		}
	}
	fmt.Printf("%d resources judged\n", judged)
	if wrong > 0 {
		return fmt.Errorf("%d do not fit", wrong)
	}
	return nil
}

func text(spec any) string {
	bytes, err := yaml.Marshal(spec)
	if err != nil {
		return err.Error() + "\n"
	}
	var plain any
	if err := yaml.Unmarshal(bytes, &plain); err != nil {
		return err.Error() + "\n"
	}
	bytes, _ = yaml.Marshal(plain)
	return string(bytes)
}
