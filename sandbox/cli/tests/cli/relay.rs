//! The phone's way to the provider, which a test can cut, mend, and lead to somebody else.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use sandbox_kit::server::{Authority, Running, serve};
use tokio::runtime::Runtime;

use crate::common::Sandbox;

/// Passes bytes on to its target, while it has one.
pub(crate) struct Relay {
    addr: SocketAddr,
    ways: Arc<Mutex<Ways>>,
}

#[derive(Default)]
struct Ways {
    target: Option<SocketAddr>,
    open: Vec<TcpStream>,
    over: bool,
}

impl Relay {
    /// A relay to the sandbox's provider.
    pub(crate) fn to(sandbox: &Sandbox) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            addr: listener.local_addr().unwrap(),
            ways: Arc::default(),
        };
        relay.lead_to(provider_of(sandbox));
        let ways = Arc::clone(&relay.ways);
        thread::spawn(move || {
            for phone in listener.incoming().map_while(Result::ok) {
                let mut ways = ways.lock().unwrap();
                if ways.over {
                    return;
                }
                // Without a target, or one that does not listen, the connection just ends.
                if let Some(target) = ways.target
                    && let Ok(provider) = TcpStream::connect(target)
                {
                    pass_on(&phone, &provider);
                    pass_on(&provider, &phone);
                    ways.open.extend([phone, provider]);
                }
            }
        });
        relay
    }

    /// The provider's address as the phone is told it.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Cuts every connection, and ends new ones.
    pub(crate) fn cut(&self) {
        let mut ways = self.ways.lock().unwrap();
        ways.target = None;
        for stream in ways.open.drain(..) {
            // One that has ended is as good as cut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Leads new connections to this address, and cuts the old ones.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.cut();
        self.ways.lock().unwrap().target = Some(target);
    }

    /// Leads to the sandbox's provider again.
    pub(crate) fn mend(&self, sandbox: &Sandbox) {
        self.lead_to(provider_of(sandbox));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
        self.ways.lock().unwrap().over = true;
        // Wakes the thread, so that it sees that it is over.
        let _ = TcpStream::connect(self.addr);
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        // How a connection ends is between its two ends.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// Where the sandbox's provider listens.
pub(crate) fn provider_of(sandbox: &Sandbox) -> SocketAddr {
    let url = sandbox.provider();
    url.strip_prefix("https://").unwrap().parse().unwrap()
}

/// Somebody in the middle whose certificate the sandbox's own CA has signed, over a key that is not the provider's.
pub(crate) struct Impostor {
    running: Running,
    requests: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Impostor {
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        let identity = Authority::open(&sandbox.path()).unwrap();
        let identity = identity.party("impostor").unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let router = Router::new().fallback(move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
            "{}"
        });
        let runtime = Runtime::new().unwrap();
        let entered = runtime.enter();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let running = serve(router, listener, &identity).unwrap();
        drop(entered);
        Self {
            running,
            requests,
            _runtime: runtime,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.running.address
    }

    /// How many requests reached it in the clear.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}
