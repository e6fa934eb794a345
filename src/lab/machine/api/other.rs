//! The small services: disks of the storage API, the clock.
use super::super::resource::disk_list;
use super::{Node, timestamp};
use crate::talos::wire::{storage, time};
use tonic::{Request, Response, Status};

pub struct Storage(pub Node);

#[tonic::async_trait]
impl storage::storage_service_server::StorageService for Storage {
    async fn disks(&self, request: Request<()>) -> Result<Response<storage::DisksResponse>, Status> {
        self.0.each(
            request.metadata(),
            |messages| storage::DisksResponse { messages },
            |vmid| {
                let disks = self.0.read(vmid, |_, machine| disk_list(&machine.vm))?;
                let disks = disks
                    .into_iter()
                    .map(|disk| storage::Disk {
                        size: disk.size,
                        model: disk.model().into(),
                        device_name: disk.path(),
                        name: String::new(),
                        serial: disk.serial(),
                        modalias: "scsi:t-0x00".into(),
                        r#type: if disk.cdrom { storage::disk::DiskType::Cd } else { storage::disk::DiskType::Hdd }
                            .into(),
                        bus_path: disk.bus_path(),
                        system_disk: disk.system,
                        subsystem: "/sys/class/block".into(),
                        readonly: disk.cdrom,
                        ..Default::default()
                    })
                    .collect();
                Ok(storage::Disks { disks, ..Default::default() })
            },
        )
    }
}

pub struct Time(pub Node);

impl Time {
    fn now(&self, vmid: u32, server: &str) -> Result<time::Time, Status> {
        let server = match server {
            "" => self.0.read(vmid, |_, machine| machine.time_servers())?.into_iter().next().unwrap_or_default(),
            given => given.to_string(),
        };
        let now = Some(timestamp(self.0.lab.clock().now()));
        Ok(time::Time { metadata: None, server, localtime: now, remotetime: now })
    }
}

#[tonic::async_trait]
impl time::time_service_server::TimeService for Time {
    async fn time(&self, request: Request<()>) -> Result<Response<time::TimeResponse>, Status> {
        self.0.each(request.metadata(), |messages| time::TimeResponse { messages }, |vmid| self.now(vmid, ""))
    }

    async fn time_check(&self, request: Request<time::TimeRequest>) -> Result<Response<time::TimeResponse>, Status> {
        let (metadata, _, asked) = request.into_parts();
        self.0.each(&metadata, |messages| time::TimeResponse { messages }, |vmid| self.now(vmid, &asked.server))
    }
}
