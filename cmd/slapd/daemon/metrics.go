package daemon

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/meter"
	"github.com/slapmesh/slapmesh/protocol"
)

// scrapeTime is how long it may take to look at everything.
const scrapeTime = 5 * time.Second

// metrics returns what answers GET /metrics, for operators and for whom the
// peer belongs to: it tells of all instances here.
func (d *Daemon) metrics(asked protocol.Service) (http.Handler, error) {
	s, ok := asked.(*service)
	if !ok {
		return nil, protocol.Errorf(protocol.ErrNotFound, "metrics: not served here")
	}
	v := d.books.View()
	self, _ := v.Peer(ledger.PeerID(d.mesh.Self()))
	if who, err := s.who(v); err != nil || !who.Operator && who.Account != self.Account {
		return nil, protocol.Errorf(protocol.ErrForbidden, "metrics: for operators of the mesh and for %s, to whom this peer belongs", self.Account)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), gatherer{d})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}), nil
}

// of are the labels by which an instance is told from others.
var of = []string{"account", "instance", "release", "partition"}

// desc describes a metric with further labels.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("slapd_"+name, help, labels, nil)
}

// What is told of the peer, and of each instance that is here.
var (
	descInfo       = desc("info", "Which slapd this is.", "version", "peer", "name", "mesh", "role")
	descUptime     = desc("uptime_seconds", "How long the daemon runs.")
	descQuorum     = desc("quorum", "Whether a majority of the voters is reached.")
	descLeader     = desc("leader", "Whether this peer leads.")
	descIndex      = desc("commit_index", "How far this peer's copy of the ledger is.")
	descMembers    = desc("members", "Peers that are known.")
	descPartitions = desc("partitions", "Partitions that this computer offers.")

	descState    = desc("instance_state", "The state that the ledger knows; always 1.", append(slices.Clip(of), "state")...)
	descHealthy  = desc("instance_healthy", "Whether all promises held when last reported.", of...)
	descFailures = desc("instance_failures", "How often in a row its partition could not be made as it should be.", of...)
	descReady    = desc("service_ready", "Whether a service is ready.", append(slices.Clip(of), "service")...)
	descStarts   = desc("service_starts_total", "How often its supervisor has started a service.", append(slices.Clip(of), "service")...)
	descPromise  = desc("promise_holds", "Whether a promise held when it was asked last.", append(slices.Clip(of), "promise")...)
	descMemory   = desc("instance_memory_bytes", "Memory in use.", of...)
	descDisk     = desc("instance_disk_bytes", "Disk in use.", of...)
	descCPU      = desc("instance_cpu_seconds_total", "Processor time, where control groups count it.", of...)
	descNetwork  = desc("instance_network_bytes_total", "Bytes in and out, by who counts them.", append(slices.Clip(of), "counter")...)
	descMetric   = desc("instance_metric_total", "What the release counts of itself.", append(slices.Clip(of), "metric")...)
)

// A gatherer reads everything when it is asked, and keeps nothing.
type gatherer struct{ *Daemon }

// Describe implements [prometheus.Collector]: what there is depends on what
// runs.
func (gatherer) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (g gatherer) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime) //nolint:forbidigo // the collector is given none
	defer cancel()
	v := g.books.View()
	s := g.status(ctx, v)
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(descInfo, 1, g.cfg.Version, s.PeerID, s.Name, s.Mesh, string(s.Role))
	gauge(descUptime, g.cfg.Clock().Sub(g.started).Seconds())
	gauge(descQuorum, number(s.Quorum))
	gauge(descLeader, number(s.Leader != "" && s.Leader == s.PeerID))
	gauge(descIndex, float64(s.CommitIndex))
	gauge(descMembers, float64(s.Members))
	self := ledger.ComputerID(g.mesh.Self())
	if c, ok := v.Computer(self); ok {
		gauge(descPartitions, float64(c.Partitions))
	}
	places, err := g.agent.Places(ctx)
	if err != nil {
		g.log.Warn("metrics without partitions", "err", err)
	}
	for i := range v.InstancesOn(self) {
		labels := slices.Clip([]string{string(i.Account), v.Path(i), i.ReleaseName, ledger.PartitionName(i.Partition)})
		gauge(descState, 1, append(labels, string(i.State))...)
		gauge(descHealthy, number(i.Healthy), labels...)
		if place, ok := places[i.Partition]; ok && place.Instance == i.ID {
			collectPlace(to, place, labels)
		}
		if g.metered == nil {
			continue
		}
		if r, ok := g.metered.meter.Last(i.ID); ok {
			collectReading(to, r, labels)
		}
	}
}

// collectPlace tells of what a supervisor says.
func collectPlace(to chan<- prometheus.Metric, p partition.Place, labels []string) {
	to <- prometheus.MustNewConstMetric(descFailures, prometheus.GaugeValue, float64(p.Trial.Failures), labels...)
	if p.Status == nil {
		return
	}
	for _, s := range p.Status.Services {
		of := append(slices.Clip(labels), s.Name)
		to <- prometheus.MustNewConstMetric(descReady, prometheus.GaugeValue, number(s.Ready), of...)
		to <- prometheus.MustNewConstMetric(descStarts, prometheus.CounterValue, float64(s.Starts), of...)
	}
	for _, s := range p.Status.Promises {
		to <- prometheus.MustNewConstMetric(descPromise, prometheus.GaugeValue, number(s.Passed), append(slices.Clip(labels), s.Name)...)
	}
}

// collectReading tells of what an instance uses.
func collectReading(to chan<- prometheus.Metric, r meter.Reading, labels []string) {
	to <- prometheus.MustNewConstMetric(descMemory, prometheus.GaugeValue, float64(r.Memory), labels...)
	to <- prometheus.MustNewConstMetric(descDisk, prometheus.GaugeValue, float64(r.Disk), labels...)
	if r.By == meter.ByCgroup {
		var ran uint64
		for _, t := range r.Tasks {
			ran += t.Own + t.Reaped
		}
		to <- prometheus.MustNewConstMetric(descCPU, prometheus.CounterValue, time.Duration(ran).Seconds(), labels...)
	}
	for _, c := range r.Network {
		to <- prometheus.MustNewConstMetric(descNetwork, prometheus.CounterValue, float64(c.Value), append(slices.Clip(labels), c.Name)...)
	}
	for name, n := range r.Metrics {
		to <- prometheus.MustNewConstMetric(descMetric, prometheus.CounterValue, float64(n), append(slices.Clip(labels), name)...)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
