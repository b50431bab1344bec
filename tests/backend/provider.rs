//! A provider of one thread: a CA, leaf keys, and a server that notes what it hears.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData,
    date_time_ymd,
};
use ring::digest;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

/// A certificate authority.
pub(crate) struct Authority {
    pub(crate) pem: String,
    key: KeyPair,
}

/// A server's certificate.
pub(crate) struct Leaf {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn authority_parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    let name = &mut parameters.distinguished_name;
    name.push(DnType::CommonName, "a test's CA");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = authority_parameters().self_signed(&key).unwrap().pem();
        Self { pem, key }
    }

    /// A certificate for the address at which these providers listen.
    pub(crate) fn leaf(&self) -> Leaf {
        self.leaf_for("127.0.0.1")
    }

    pub(crate) fn leaf_for(&self, name: &str) -> Leaf {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// As [`leaf`](Self::leaf), but over since some years.
    pub(crate) fn expired(&self) -> Leaf {
        let mut parameters = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(2019, 1, 1);
        parameters.not_after = date_time_ymd(2020, 1, 1);
        self.sign(parameters)
    }

    fn sign(&self, parameters: CertificateParams) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(authority_parameters(), &self.key);
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        Leaf {
            certificate: certificate.der().clone(),
            key,
        }
    }
}

impl Leaf {
    /// SHA-256 over the subject public key info.
    pub(crate) fn pin(&self) -> String {
        let info = self.key.subject_public_key_info();
        hex::encode_upper(digest::digest(&digest::SHA256, &info))
    }

    /// This certificate, which anybody can see, before a key that is another's.
    pub(crate) fn with_key_of(&self, other: &Self) -> Self {
        Self {
            certificate: self.certificate.clone(),
            key: KeyPair::try_from(other.key.serialize_der()).unwrap(),
        }
    }

    /// A server that speaks these versions of TLS.
    pub(crate) fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let key = crypto.key_provider.load_private_key(key).unwrap();
        // Unlike rustls' own, this does not look whether the two belong together.
        let certified = CertifiedKey::new(vec![self.certificate.clone()], key);
        ServerConfig::builder_with_provider(crypto)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Always(Arc::new(certified))))
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    /// The one header of this name.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut named = self.headers.iter().filter(|(held, _)| held == name);
        let (_, value) = named
            .next()
            .unwrap_or_else(|| panic!("no {name}: {self:?}"));
        assert!(named.next().is_none(), "two of {name}: {self:?}");
        value
    }

    pub(crate) fn is_signed(&self) -> bool {
        self.headers.iter().any(|(name, _)| name == "signature")
    }
}

/// A provider that runs until it is dropped.
pub(crate) struct Provider {
    pub(crate) url: String,
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Provider {
    /// Answers each request with what `answer` gives for it: a status and a JSON body.
    pub(crate) fn serve(
        config: ServerConfig,
        answer: impl Fn(&Heard) -> (u16, serde_json::Value) + Send + 'static,
    ) -> Self {
        let config = Arc::new(config);
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let notes = Arc::clone(&heard);
        let mut provider = Self::run(move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            // A handshake that the phone breaks off is what some tests are about.
            let Some(request) = read(&mut stream) else {
                return;
            };
            let (status, body) = answer(&request);
            notes.lock().unwrap().push(request);
            let body = body.to_string();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            drop(stream.write_all(answer.as_bytes()));
            stream.conn.send_close_notify();
            drop(stream.flush());
        });
        provider.heard = heard;
        provider
    }

    /// Does `each` with each connection in turn.
    pub(crate) fn run(each: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stopping: Arc<AtomicBool> = Arc::default();
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                // No test waits for it; a phone that falls silent must not hold the thread.
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                each(stream);
            }
        });
        Self {
            url: format!("https://{address}"),
            address,
            heard: Arc::default(),
            stopping,
            thread: Some(thread),
        }
    }

    /// What has arrived.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// What has arrived under a signature.
    pub(crate) fn signed(&self) -> Vec<Heard> {
        let heard = self.heard();
        heard.into_iter().filter(Heard::is_signed).collect()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has failed the test by the answer that did not come.
            drop(thread.join());
        }
    }
}

/// Reads one request; nothing when the connection ends before.
fn read(stream: &mut impl Read) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(request) = whole(&bytes) {
            return Some(request);
        }
        match stream.read(&mut chunk) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}

fn whole(bytes: &[u8]) -> Option<Heard> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let body = bytes[end + 4..].get(..length)?;
    Some(Heard {
        method: first.next().unwrap().into(),
        target: first.next().unwrap().into(),
        headers,
        body: body.to_vec(),
    })
}

/// The provider's answer to a session, an hour ahead of the phone's clock; each has an identifier of its own.
pub(crate) fn session() -> (u16, serde_json::Value) {
    static OPENED: AtomicU32 = AtomicU32::new(0);
    let number = OPENED.fetch_add(1, Ordering::SeqCst);
    let at = |ms| tapcore::backend::rfc3339(ms);
    let answer = serde_json::json!({
        "session_id": format!("ses_{number}"),
        "expires_at": at(SERVER_MS + 3_600_000),
        "server_time": at(SERVER_MS),
    });
    (201, answer)
}

/// The provider's clock, which is right.
pub(crate) const SERVER_MS: i64 = crate::NOON_MS + 3_600_000;
