//! The phone's way to the provider, which the demo can cut.
//!
//! It relays bytes on the loopback and looks at none of them: TLS, pins and signatures are between phone and provider.
//! Closed, it keeps its port and drops every connection, so that nobody else can take the port meanwhile.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running relay; dropping it cuts everything.
pub(super) struct Relay {
    address: SocketAddr,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Opens a relay to `target` (host and port).
    pub(super) async fn open(target: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("no loopback port for the relay")?;
        let address = listener.local_addr()?;
        let (open, watched) = watch::channel(true);
        let task = tokio::spawn(accept(listener, target, watched));
        Ok(Self {
            address,
            open,
            task,
        })
    }

    /// Where the phone reaches the provider.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection, and drops new ones until it is opened again.
    pub(super) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.set_open(false);
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: String, open: watch::Receiver<bool>) {
    loop {
        let Ok((phone, _)) = listener.accept().await else {
            continue;
        };
        if *open.borrow() {
            tokio::spawn(relay(phone, target.clone(), open.clone()));
        }
    }
}

async fn relay(mut phone: TcpStream, target: String, mut open: watch::Receiver<bool>) {
    let bytes = async {
        if let Ok(mut provider) = TcpStream::connect(&target).await {
            // How a connection ends is between its two ends.
            let _ = copy_bidirectional(&mut phone, &mut provider).await;
        }
    };
    tokio::select! {
        () = bytes => {}
        _ = open.wait_for(|open| !open) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn closing_cuts_what_is_there_and_what_comes_and_opening_mends_it() {
        let provider = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = provider.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = provider.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        let echo = async |stream: &mut TcpStream| -> std::io::Result<u8> {
            stream.write_all(b"x").await?;
            stream.read_u8().await
        };
        let relay = Relay::open(target).await.unwrap();
        let mut before = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(echo(&mut before).await.unwrap(), b'x');
        relay.set_open(false);
        assert!(echo(&mut before).await.is_err());
        let mut during = TcpStream::connect(relay.address()).await.unwrap();
        assert!(echo(&mut during).await.is_err());
        relay.set_open(true);
        let mut after = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(echo(&mut after).await.unwrap(), b'x');
    }
}
