//! The HTTPS API of the simulated Proxmox VE.
use crate::lab::world::Lab;

/// Serves one connection of port 8006 until either side closes it.
pub async fn serve(_stream: tokio::net::TcpStream, _lab: Lab) {}
