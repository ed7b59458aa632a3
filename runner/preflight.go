package runner

import "fmt"

// spareFiles is what the process needs beside its connections: the notebook,
// the standard streams, the poller, the probes, connections being replaced.
const spareFiles = 64

// Preflight checks, before anything is sent, that the system lets this process
// have conns connections at once to the servers at addresses (host:port), as many
// to each. It raises the process's own limit of open files where that is allowed.
// Its error names the command that removes the obstacle. What a platform does
// not tell is taken to suffice.
func Preflight(conns int, addresses []string) error {
	if err := checkFiles(uint64(conns) + spareFiles); err != nil {
		return err
	}
	low, high, ok := localPorts()
	if !ok || len(addresses) == 0 {
		return nil
	}
	return checkPorts(conns, addresses, low, high)
}

// checkPorts holds the connections against the ports from low to high. Each
// destination may use all of them.
func checkPorts(conns int, addresses []string, low, high int) error {
	ports, each := high-low+1, (conns+len(addresses)-1)/len(addresses)
	if each <= ports {
		return nil
	}
	const widest = 65535 - 1024 + 1
	if each > widest {
		return fmt.Errorf("%d connections to %s are more than the %d ports that one address of this machine has; spread them over at least %d addresses of the server",
			each, addresses[0], widest, (conns+widest-1)/widest)
	}
	return fmt.Errorf("%d connections to %s are more than the %d ports (%d to %d) that this machine opens connections from; run: sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"",
		each, addresses[0], ports, low, high)
}
