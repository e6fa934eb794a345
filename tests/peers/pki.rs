//! Certificates for peers, signed by authorities that cozyup made: Go's TLS stack judges them.
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::net::IpAddr;

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    /// What a server on these addresses shows.
    pub fn server(&self, name: &str, addresses: &[IpAddr]) -> Pair {
        self.serving(name, addresses, vec![ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// What a server shows that is also its own client, as etcd's gateway is.
    pub fn peer(&self, name: &str, addresses: &[IpAddr]) -> Pair {
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.serving(name, addresses, usages)
    }

    fn serving(&self, name: &str, addresses: &[IpAddr], usages: Vec<ExtendedKeyUsagePurpose>) -> Pair {
        let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"].map(String::from);
        let mut params = CertificateParams::new(names).unwrap();
        params.subject_alt_names.extend(addresses.iter().map(|a| rcgen::SanType::IpAddress(*a)));
        self.sign(params, name, &[], usages)
    }

    /// What a client of this name, in these groups, shows.
    pub fn client(&self, name: &str, groups: &[&str]) -> Pair {
        self.sign(CertificateParams::default(), name, groups, vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// What a client shows whose year is over.
    pub fn expired_client(&self, name: &str, groups: &[&str]) -> Pair {
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        self.sign(params, name, groups, vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        name: &str,
        groups: &[&str],
        usages: Vec<ExtendedKeyUsagePurpose>,
    ) -> Pair {
        let authority = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, KeyPair::try_from(&authority).unwrap()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = usages;
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}
