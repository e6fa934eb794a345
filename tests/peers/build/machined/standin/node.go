package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const writable = unix.MS_NOSUID

// node turns the namespaces that it was started in (mount, PID, UTS, IPC, network, cgroup) into a container of Talos and
// becomes its first process, machined. ROOT is a folder with what Talos' image has and this needs; see ../../machined/node.
//
//	standin node ROOT HOSTNAME
func node(root, hostname string) error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("sethostname: %w", err)
	}

	// Nothing that is mounted here is seen outside.
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}

	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", root, err)
	}

	if err := devices(root); err != nil {
		return err
	}

	if err := kernel(root); err != nil {
		return err
	}

	for _, folder := range []string{"run", "system", "tmp", "var", "opt", "etc/cni", "etc/kubernetes", "usr/libexec/kubernetes"} {
		if err := mount("tmpfs", filepath.Join(root, folder), "tmpfs", 0, "mode=0755"); err != nil {
			return err
		}
	}

	old := filepath.Join(root, ".old")
	if err := os.MkdirAll(old, 0o700); err != nil {
		return err
	}

	if err := unix.PivotRoot(root, old); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}

	if err := os.Chdir("/"); err != nil {
		return err
	}

	if err := unix.Unmount("/.old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("umount of the old root: %w", err)
	}

	if err := os.Remove("/.old"); err != nil {
		return err
	}

	return unix.Exec("/usr/bin/init", []string{"/sbin/init"}, []string{"PLATFORM=container", "PATH=/usr/bin"})
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}

	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, target, err)
	}

	return nil
}

func devices(root string) error {
	dev := filepath.Join(root, "dev")
	if err := mount("tmpfs", dev, "tmpfs", writable, "mode=0755"); err != nil {
		return err
	}

	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		path := filepath.Join(dev, name)
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))); err != nil {
			return fmt.Errorf("mknod %s: %w", path, err)
		}

		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
	}

	if err := mount("tmpfs", filepath.Join(dev, "shm"), "tmpfs", writable, ""); err != nil {
		return err
	}

	return mount("devpts", filepath.Join(dev, "pts"), "devpts", writable, "newinstance,ptmxmode=0666,mode=0620")
}

// kernel mounts /proc and /sys so that nothing of this machine can be set through them but what belongs to the namespaces:
// the settings of the own network, and the own cgroups.
func kernel(root string) error {
	proc := filepath.Join(root, "proc")
	if err := mount("proc", proc, "proc", writable, ""); err != nil {
		return err
	}

	sys := filepath.Join(proc, "sys")
	for _, step := range []struct {
		target string
		flags  uintptr
	}{
		{sys, unix.MS_BIND},
		{filepath.Join(sys, "net"), unix.MS_BIND},
		{sys, unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
	} {
		if err := unix.Mount(step.target, step.target, "", step.flags, ""); err != nil {
			return fmt.Errorf("bind %s: %w", step.target, err)
		}
	}

	if err := mount("sysfs", filepath.Join(root, "sys"), "sysfs", unix.MS_RDONLY|writable, ""); err != nil {
		return err
	}

	return cgroups(filepath.Join(root, "sys/fs/cgroup"))
}

// cgroups mounts what this process is in, by /proc/self/cgroup: version 2 alone, or the hierarchies of version 1.
func cgroups(at string) error {
	file, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck

	var hierarchies []string

	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if parts := strings.SplitN(lines.Text(), ":", 3); len(parts) == 3 && parts[1] != "" {
			hierarchies = append(hierarchies, parts[1])
		}
	}

	if len(hierarchies) == 0 {
		return unix.Mount("cgroup", at, "cgroup2", writable, "")
	}

	if err := unix.Mount("tmpfs", at, "tmpfs", writable, "mode=0755"); err != nil {
		return fmt.Errorf("mount on %s: %w", at, err)
	}

	for _, hierarchy := range hierarchies {
		options := hierarchy
		if strings.HasPrefix(hierarchy, "name=") {
			options = "none," + hierarchy
		}

		if err := mount("cgroup", filepath.Join(at, strings.TrimPrefix(hierarchy, "name=")), "cgroup", writable, options); err != nil {
			return err
		}
	}

	return nil
}
