//! What DNS says in a VPC of its private namespaces. Source: "DNS routing policy" and "DnsRecord", Cloud Map API Reference.

use std::sync::Arc;

use desired::{Discovered, PrivateZone, Record, ServiceRecord};
use store::Snapshot;

use super::instance::Instance;
use super::namespace::{Namespace, NamespaceKind};
use super::service::{DiscoveryService, RecordType, RoutingPolicy};
use crate::ec2::vpc::Vpc;

/// The most records of an answer by the multivalue policy.
const MULTIVALUE: usize = 8;

/// The private namespaces of a VPC, as its DNS server knows them: none unless the VPC has both DNS attributes, as private
/// hosted zones need them.
pub fn of_vpc(rows: &Snapshot, vpc: &Vpc) -> (Vec<PrivateZone>, Vec<Discovered>, Vec<Record>) {
    let (mut zones, mut discovered, mut records) = (Vec::new(), Vec::new(), Vec::new());
    if !vpc.enable_dns_support || !vpc.enable_dns_hostnames {
        return (zones, discovered, records);
    }
    let prefix = format!("{}/{}/", vpc.account, vpc.region);
    for namespace in rows.scan::<Namespace>(&prefix) {
        let NamespaceKind::Private { vpc: of, soa_ttl, .. } = &namespace.kind else { continue };
        if *of != vpc.id {
            continue;
        }
        zones.push(PrivateZone { name: namespace.name.clone(), negative_ttl: *soa_ttl });
        for service in rows.scan::<DiscoveryService>(&prefix) {
            if service.namespace == namespace.id && service.dns.is_some() {
                let name = format!("{}.{}", service.name, namespace.name).to_ascii_lowercase();
                let (one, targets) = of_service(rows, &service, &name);
                discovered.extend(one);
                records.extend(targets);
            }
        }
    }
    (zones, discovered, records)
}

/// A service's name, and the names that its SRV records lead to.
fn of_service(rows: &Snapshot, service: &DiscoveryService, name: &str) -> (Option<Discovered>, Vec<Record>) {
    let mut instances = service.instances(rows);
    // When none is healthy, all are as good as healthy.
    if instances.iter().any(|instance| instance.is_healthy()) {
        instances.retain(|instance| instance.is_healthy());
    }
    if instances.is_empty() {
        return (None, Vec::new());
    }
    let (a, srv) = (service.record(RecordType::A), service.record(RecordType::Srv));
    let target = |instance: &Instance| format!("{}.{name}", instance.id).to_ascii_lowercase();
    let service_record = |instance: &Arc<Instance>| {
        Some(ServiceRecord { priority: 1, weight: 1, port: instance.port()?, target: target(instance) })
    };
    let addresses = instances.iter().filter_map(|instance| instance.address());
    let weighted = service.dns.as_ref().is_some_and(|dns| dns.routing_policy == RoutingPolicy::Weighted);
    let discovered = Discovered {
        name: name.to_owned(),
        addresses: if a.is_some() { addresses.collect() } else { Vec::new() },
        ttl: a.map_or(0, |record| record.ttl),
        services: if srv.is_some() {
            instances.iter().filter_map(service_record).collect()
        } else {
            Vec::new()
        },
        services_ttl: srv.map_or(0, |record| record.ttl),
        at_most: if weighted { 1 } else { MULTIVALUE },
    };
    let named = |(instance, ttl): (&Arc<Instance>, u32)| {
        Some(Record { name: target(instance), addresses: vec![instance.address()?], ttl })
    };
    let records = srv
        .iter()
        .flat_map(|record| instances.iter().map(|one| (one, record.ttl)))
        .filter_map(named)
        .collect();
    (Some(discovered), records)
}
