//! The critical path to three members of etcd, with disks that bear more or fewer copies side by side; beside it the order of
//! Terraform's providers in the same site, by the same method.
use cozyup::lab::critical::{Order, chain, seconds, to_the_machines};
use cozyup::lab::scenario::Scenario;

pub fn lengths() {
    println!("\ncritical path to the end of day 2 in lab seconds, and Terraform's order");
    for name in ["standard", "local-templates"] {
        for streams in [1.0, 2.0, 4.0] {
            let mut scenario = Scenario::load(name).unwrap();
            scenario.proxmox.storages.iter_mut().for_each(|storage| storage.streams = streams);
            let (own, theirs) =
                (seconds(&chain(&scenario, 2)), seconds(&to_the_machines(&scenario, 2, Order::Terraform)));
            println!(
                "  {name:<16} {streams} copies at full speed   {own:>6.1} s   Terraform {theirs:>6.1} s   {:>5.2}",
                own / theirs
            );
        }
    }
}
