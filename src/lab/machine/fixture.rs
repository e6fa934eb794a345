//! Throw-away secrets and configs for the tests of this room.
use super::outside::Vm;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm,
};
use std::net::Ipv4Addr;

pub struct Secrets {
    /// Third octet of the addresses.
    pub net: u8,
    os: (String, String),
    kubernetes: (String, String),
    etcd: (String, String),
}

fn ca(organization: &str, algorithm: &'static SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

impl Secrets {
    pub fn in_net(net: u8) -> Self {
        Secrets {
            net,
            os: ca("talos", &PKCS_ED25519),
            kubernetes: ca("kubernetes", &PKCS_ECDSA_P256_SHA256),
            etcd: ca("etcd", &PKCS_ECDSA_P256_SHA256),
        }
    }

    pub fn control_plane(&self, name: &str, address: &str) -> String {
        self.config(name, address, true)
    }

    pub fn worker(&self, name: &str, address: &str) -> String {
        self.config(name, address, false)
    }

    fn config(&self, name: &str, address: &str, control_plane: bool) -> String {
        let pair = |(crt, key): &(String, String)| {
            let key = if control_plane { STANDARD.encode(key) } else { "\"\"".into() };
            format!("{{crt: {}, key: {key}}}", STANDARD.encode(crt))
        };
        let (os, kubernetes) = (pair(&self.os), pair(&self.kubernetes));
        let role = if control_plane { "controlplane" } else { "worker" };
        let only_control_planes = |text: String| if control_plane { text } else { String::new() };
        let vip = only_control_planes(format!("\n        vip: {{ip: {}}}", self.address(100)));
        let etcd = format!("\n  etcd: {{ca: {}, advertisedSubnets: [{}/24]}}", pair(&self.etcd), self.address(0));
        let etcd = only_control_planes(etcd);
        let net = self.net;
        format!(
            r#"version: v1alpha1
debug: false
persist: true
machine:
  type: {role}
  token: abcdef.0123456789abcdef
  ca: {os}
  certSANs: [127.0.0.1]
  kubelet:
    image: ghcr.io/siderolabs/kubelet:v1.33.3
    nodeIP: {{validSubnets: [127.86.{net}.0/24]}}
  network:
    hostname: {name}
    nameservers: [127.86.{net}.1]
    interfaces:
      - deviceSelector: {{hardwareAddr: "bc:24:11:*"}}
        addresses: [{address}/24]
        routes: [{{network: 0.0.0.0/0, gateway: 127.86.{net}.1}}]
        dhcp: false{vip}
  install: {{disk: /dev/sda}}
cluster:
  id: dGVzdA==
  secret: dGVzdA==
  controlPlane: {{endpoint: "https://127.86.{net}.100:6443"}}
  clusterName: cozy
  network:
    cni: {{name: none}}
    dnsDomain: cozy.local
    podSubnets: [10.244.0.0/16]
    serviceSubnets: [10.96.0.0/16]
  token: ghijkl.0123456789abcdef
  ca: {kubernetes}{etcd}
---
apiVersion: v1alpha1
kind: ExtensionServiceConfig
name: lldpd
configFiles: [{{content: "configure lldp status disabled\n", mountPath: /usr/local/etc/lldp/lldpd.conf}}]
"#
        )
    }
}

impl Secrets {
    /// A client certificate of the Talos CA with these roles, and its key; PEM.
    pub fn client(&self, roles: &[&str], usages: &[ExtendedKeyUsagePurpose]) -> (String, String) {
        let issuer = rcgen::Issuer::from_ca_cert_pem(&self.os.0, KeyPair::from_pem(&self.os.1).unwrap()).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for role in roles {
            params.distinguished_name.push(DnType::OrganizationName, *role);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }

    pub fn address(&self, host: u8) -> String {
        format!("127.86.{}.{host}", self.net)
    }

    pub fn os_ca(&self) -> &str {
        &self.os.0
    }
}

pub fn admin(secrets: &Secrets) -> (String, String) {
    secrets.client(&["os:admin"], &[ExtendedKeyUsagePurpose::ClientAuth])
}

/// A VM of the lab at `127.86.NET.ADDRESS`.
pub fn vm(name: &str, net: u8, address: u8) -> Vm {
    Vm {
        name: name.into(),
        cores: 8,
        memory_mib: 24576,
        mac: format!("bc:24:11:00:00:{address:02x}"),
        uuid: format!("00000000-0000-4000-8000-0000000000{address:02x}"),
        mtu: 1500,
        system_disk_gib: 50,
        extra_disks: vec![("scsi1".into(), 256)],
        swapped: false,
        address: (Ipv4Addr::new(127, 86, net, address), 24),
        gateway: Some(Ipv4Addr::new(127, 86, net, 1)),
        nameservers: vec![Ipv4Addr::new(127, 86, net, 1)],
        hostname: Some(name.into()),
    }
}
