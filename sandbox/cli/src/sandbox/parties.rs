//! The five parties: opened on one data folder, introduced to each other, served and stopped together.
//!
//! Listeners are bound before any party opens, so that each can be told where the others are; keys are exchanged here,
//! as in life by a certification authority or a post office.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use sandbox_acquirer::{Acquirer, AcquirerConfig, CaKey, CodeRoute, CodeWaits, Merchant};
use sandbox_bank::{Bank, BankConfig, BankIdentity, authorise::SLOW};
use sandbox_kit::clock;
use sandbox_kit::event::{Event, Events};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::ledger::Ledger;
use sandbox_kit::maker_wallet;
use sandbox_kit::server::{Authority, Running, serve};
use sandbox_network::limits::KeyLimits;
use sandbox_network::{
    BANK_TIMEOUT, Background, BankRoute, Maker, Network, NetworkConfig, profile,
};
use sandbox_provider::policy::{CodeAcquirer, CodePolicy, CodeRules};
use sandbox_provider::{Policy, Provider, ProviderConfig};

use super::Party;

/// The acquirer's name at the network, and the key id of its requests.
const ACQUIRER: &str = "acquirer";
const PROVIDER: &str = "provider";
const NETWORK: &str = "network";
/// Applications that terminals select: UnionPay debit first, credit, quasi-credit; then those of the other schemes.
const AIDS: [&str; 5] = [
    profile::AID_DEBIT,
    "A000000333010102",
    "A000000333010103",
    "A0000000031010",
    "A0000000041010",
];
const BANKS: [BankIdentity; 2] = [BankIdentity::A, BankIdentity::B];

/// All parties, running.
pub(crate) struct Parties {
    ready: Event,
    network: Network,
    provider: Provider,
    acquirer: Acquirer,
    banks: Vec<Bank>,
    background: (
        Background,
        sandbox_provider::Background,
        sandbox_acquirer::Background,
    ),
    servers: Vec<Running>,
}

impl Parties {
    /// Opens and serves them all. Answers once every one of them takes requests.
    pub(crate) async fn start(
        data: &Path,
        listen: SocketAddr,
        events: &Events,
    ) -> anyhow::Result<Self> {
        let data = std::path::absolute(data)?;
        let authority = Authority::open(&data)?;
        let provider_listener = bind(listen)?;
        let acquirer_listener = bind(local())?;
        let network_listener = bind(local())?;
        let bank_listeners = [bind(local())?, bind(local())?];
        let mut routes = Vec::with_capacity(BANKS.len());
        for (bank, listener) in BANKS.iter().zip(&bank_listeners) {
            routes.push(BankRoute {
                name: bank.name.to_owned(),
                bin: bank.bin.to_owned(),
                url: url(listener)?,
            });
        }
        let network = Network::open(NetworkConfig {
            folder: data.join(NETWORK),
            database_url: None,
            ca_pem: authority.ca_pem().to_vec(),
            provider_key: party_key(&data, PROVIDER)?.public(),
            acquirer_id: ACQUIRER.to_owned(),
            acquirer_key: party_key(&data, ACQUIRER)?.public(),
            acquirer_url: url(&acquirer_listener)?,
            provider_url: url(&provider_listener)?,
            banks: routes,
            makers: vec![Maker {
                name: maker_wallet::MAKER.to_owned(),
                key: maker_wallet::signing_key().public(),
            }],
            clock: Arc::new(clock::now),
            bank_timeout: BANK_TIMEOUT,
            key_limits: KeyLimits::standard(),
        })
        .await?;
        let network_url = url(&network_listener)?;
        let provider = Provider::open(provider_config(
            &data,
            &authority,
            &network_url,
            (network.signing_key(), network.hpke_key()),
            events,
        )?)
        .await?;
        let ca_keys = network.ca_keys().into_iter().map(|ca| CaKey {
            rid: ca.rid,
            index: ca.index,
            modulus: ca.modulus,
            exponent: ca.exponent,
        });
        let code_route = CodeRoute {
            prefix: CodePolicy::default().prefix,
            provider_url: url(&provider_listener)?,
        };
        let acquirer = Acquirer::open(acquirer_config(
            &data,
            &authority,
            (network_url.as_str(), network.signing_key()),
            ca_keys.collect(),
            code_route,
            events,
        )?)
        .await?;

        let mut servers = Vec::with_capacity(5);
        let mut banks = Vec::with_capacity(BANKS.len());
        for (identity, listener) in BANKS.into_iter().zip(bank_listeners) {
            let bank = Bank::open(BankConfig {
                folder: data.join(identity.name),
                database_url: None,
                identity,
                network_key: network.signing_key(),
                events: events.clone(),
                clock: Arc::new(clock::now),
                slowness: SLOW,
            })
            .await?;
            servers.push(serve(
                bank.router(),
                listener,
                &authority.party(identity.name)?,
            )?);
            banks.push(bank);
        }
        servers.push(serve(
            network.router(),
            network_listener,
            &authority.party(NETWORK)?,
        )?);
        let provider_server = serve(
            provider.router(),
            provider_listener,
            &authority.party(PROVIDER)?,
        )?;
        let acquirer_server = serve(
            acquirer.router(),
            acquirer_listener,
            &authority.party(ACQUIRER)?,
        )?;
        let ready = Event::new("ready")
            .with("provider", provider_server.url.as_str())
            .with("acquirer", acquirer_server.url.as_str())
            .with("network", network_url.as_str())
            .with("ca", authority.ca_path().to_string_lossy().into_owned());
        servers.extend([provider_server, acquirer_server]);
        let background = (network.start(), provider.start(), acquirer.start());
        Ok(Self {
            ready,
            network,
            provider,
            acquirer,
            banks,
            background,
            servers,
        })
    }

    /// The first line of the sandbox.
    pub(crate) fn ready(&self) -> &Event {
        &self.ready
    }

    /// Stops taking requests, lets open ones finish, closes the databases. What is still to be delivered stays in the
    /// network's outbox.
    pub(crate) async fn stop(self) {
        // Those who ask first, those who answer last.
        for server in self.servers.into_iter().rev() {
            server.stop().await;
        }
        drop(self.background);
        self.provider.close().await;
        self.acquirer.close().await;
        self.network.close().await;
        for bank in self.banks {
            bank.close().await;
        }
    }
}

/// The books of a party from the sandbox's folder, whether or not it is running.
pub(crate) async fn read_ledger(data: &Path, party: Party) -> anyhow::Result<Ledger> {
    match party {
        Party::BankA => sandbox_bank::read_ledger(&data.join("bank-a"), BankIdentity::A).await,
        Party::BankB => sandbox_bank::read_ledger(&data.join("bank-b"), BankIdentity::B).await,
        Party::Network => sandbox_network::read_ledger(&data.join(NETWORK)).await,
        Party::Provider => sandbox_provider::read_ledger(&data.join(PROVIDER)).await,
        Party::Acquirer => sandbox_acquirer::read_ledger(&data.join(ACQUIRER)).await,
    }
}

fn provider_config(
    data: &Path,
    authority: &Authority,
    network_url: &str,
    (signing, hpke): ([u8; 65], [u8; 65]),
    events: &Events,
) -> anyhow::Result<ProviderConfig> {
    Ok(ProviderConfig {
        database: database(data, PROVIDER),
        database_url: None,
        network_url: network_url.to_owned(),
        network_signing_key: signing,
        network_hpke_key: hpke,
        ca_pem: authority.ca_pem().to_vec(),
        key: party_key(data, PROVIDER)?,
        pins: authority.party(PROVIDER)?.pins(),
        policy: Policy::default(),
        codes: CodeRules {
            acquirers: vec![CodeAcquirer {
                acquirer_id: ACQUIRER.to_owned(),
                key: party_key(data, ACQUIRER)?.public(),
            }],
            ..CodeRules::default()
        },
        password_tries: sandbox_provider::PASSWORD_TRIES,
        attestation_roots: vec![sandbox_kit::maker::root()],
        events: events.clone(),
    })
}

fn acquirer_config(
    data: &Path,
    authority: &Authority,
    (network_url, network_key): (&str, [u8; 65]),
    ca_keys: Vec<CaKey>,
    code_route: CodeRoute,
    events: &Events,
) -> anyhow::Result<AcquirerConfig> {
    Ok(AcquirerConfig {
        database: database(data, ACQUIRER),
        database_url: None,
        network_url: network_url.to_owned(),
        network_key,
        ca_pem: authority.ca_pem().to_vec(),
        key: party_key(data, ACQUIRER)?,
        acquirer_id: ACQUIRER.to_owned(),
        merchant: Merchant::default(),
        aids: AIDS.map(str::to_owned).to_vec(),
        ca_keys,
        code_routes: vec![code_route],
        code_waits: CodeWaits::default(),
        events: events.clone(),
    })
}

fn database(data: &Path, party: &str) -> PathBuf {
    data.join(party).join(format!("{party}.db"))
}

fn party_key(data: &Path, party: &str) -> anyhow::Result<PartyKey> {
    PartyKey::open_or_create(&data.join(party).join("party.key"))
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; is the port in use?"))
}

fn url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("https://{}", listener.local_addr()?))
}
