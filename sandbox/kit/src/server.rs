//! HTTPS for the parties: a CA of the sandbox's own, a leaf key and a spare per party, and a server on top.
//!
//! [`Authority::open`] finds or makes the CA in the data folder (`ca.pem` is what others must trust);
//! [`Authority::party`] gives a party its keys; [`serve`] runs a router. Keys survive a restart, so do pins: they are
//! hashes of keys. Leaf certificates are issued anew at each start from the same key and thus never run out.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration as Days, OffsetDateTime};

use crate::bytes;

/// The sandbox's certificate authority.
pub struct Authority {
    folder: PathBuf,
    pem: String,
    key: KeyPair,
}

/// A party's TLS identity.
pub struct TlsIdentity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    spare: KeyPair,
}

/// A server that runs until it is told to stop or dropped.
pub struct Running {
    /// Where it listens, the port resolved.
    pub address: SocketAddr,
    /// `https://127.0.0.1:PORT`
    pub url: String,
    handle: Handle<SocketAddr>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// Makes ring the process's provider of TLS cryptography. Harmless when repeated.
pub fn install_crypto() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Authority {
    /// Opens the CA in `folder`, made when there is none.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder.join("tls"))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join("ca.pem");
        let key = key_at(&folder.join("tls").join("ca.key"))?;
        let pem = if path.exists() {
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?
        } else {
            let pem = authority_parameters().self_signed(&key)?.pem();
            write_whole(&path, pem.as_bytes(), false)?;
            pem
        };
        Ok(Self {
            folder: folder.to_owned(),
            pem,
            key,
        })
    }

    /// The file that others are given as the only root to trust.
    #[must_use]
    pub fn ca_path(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Its content.
    #[must_use]
    pub fn ca_pem(&self) -> &[u8] {
        self.pem.as_bytes()
    }

    /// The identity of the party `name`, its keys made when there are none.
    pub fn party(&self, name: &str) -> anyhow::Result<TlsIdentity> {
        let folder = self.folder.join("tls");
        let key = key_at(&folder.join(format!("{name}.key")))?;
        let spare = key_at(&folder.join(format!("{name}-spare.key")))?;
        let mut leaf = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        leaf.distinguished_name = named(&format!("Tapcore sandbox {name}"));
        leaf.not_before = OffsetDateTime::now_utc() - Days::days(1);
        leaf.not_after = OffsetDateTime::now_utc() + Days::days(397);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let issuer = Issuer::new(authority_parameters(), &self.key);
        let certificate = leaf.signed_by(&key, &issuer)?.der().clone();
        Ok(TlsIdentity {
            certificate,
            key,
            spare,
        })
    }
}

impl TlsIdentity {
    /// SHA-256 over the SubjectPublicKeyInfo of the key in use, then of the spare, upper-case hex.
    #[must_use]
    pub fn pins(&self) -> [String; 2] {
        [&self.key, &self.spare]
            .map(|key| bytes::to_hex(&bytes::sha256(&key.subject_public_key_info())))
    }

    fn config(&self) -> anyhow::Result<rustls::ServerConfig> {
        install_crypto();
        let key = PrivateKeyDer::try_from(self.key.serialize_der())
            .map_err(|error| anyhow::anyhow!("the leaf key is unusable: {error}"))?;
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Serves `router` over TLS on `listener` until the answer is stopped or dropped.
pub fn serve(
    router: Router,
    listener: TcpListener,
    identity: &TlsIdentity,
) -> anyhow::Result<Running> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let config = RustlsConfig::from_config(Arc::new(identity.config()?));
    let handle = Handle::new();
    let server = axum_server::from_tcp_rustls(listener, config)?.handle(handle.clone());
    let task = tokio::spawn(server.serve(router.into_make_service()));
    Ok(Running {
        address,
        url: format!("https://{address}"),
        handle,
        task,
    })
}

impl Running {
    /// Stops listening, lets open requests finish for up to two seconds.
    pub async fn stop(mut self) {
        self.handle.graceful_shutdown(Some(Duration::from_secs(2)));
        // The result is the listener's own end, which we asked for.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

fn authority_parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = named("Tapcore sandbox CA");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_before = OffsetDateTime::now_utc() - Days::days(1);
    parameters.not_after = OffsetDateTime::now_utc() + Days::days(3650);
    parameters
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn key_at(path: &Path) -> anyhow::Result<KeyPair> {
    if path.exists() {
        let pem = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        return KeyPair::from_pem(&pem).with_context(|| format!("{} holds no key", path.display()));
    }
    let key = KeyPair::generate()?;
    write_secret(path, key.serialize_pem().as_bytes())?;
    Ok(key)
}

/// Writes a file that only its owner may read; it is there whole or not at all.
pub fn write_secret(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write_whole(path, content, true)
}

fn write_whole(path: &Path, content: &[u8], secret: bool) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let draft = path.with_extension(format!("draft{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    let mut file = options
        .open(&draft)
        .with_context(|| format!("cannot write {}", draft.display()))?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;
    use crate::client::{CallError, Client};

    #[tokio::test]
    async fn keys_survive_a_restart_and_only_our_ca_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path()).unwrap();
        let pins = first.party("provider").unwrap().pins();
        assert_ne!(pins[0], pins[1]);
        let again = Authority::open(folder.path()).unwrap();
        assert_eq!(first.ca_pem(), again.ca_pem());
        let identity = again.party("provider").unwrap();
        assert_eq!(identity.pins(), pins);

        let router = Router::new().route("/", get(|| async { "1" }));
        let running = serve(router, TcpListener::bind("127.0.0.1:0").unwrap(), &identity).unwrap();
        let client = Client::unsigned(first.ca_pem()).unwrap();
        assert_eq!(client.get::<u8>(&running.url).await.unwrap(), 1);
        let elsewhere = tempfile::tempdir().unwrap();
        let stranger =
            Client::unsigned(Authority::open(elsewhere.path()).unwrap().ca_pem()).unwrap();
        assert!(matches!(
            stranger.get::<u8>(&running.url).await,
            Err(CallError::Unreachable(_))
        ));
        let url = running.url.clone();
        running.stop().await;
        assert!(matches!(
            client.get::<u8>(&url).await,
            Err(CallError::Unreachable(_))
        ));
    }
}
