//! A network with a bank behind it and a provider beside it, over TLS, and a phone's and a terminal's part in values.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use sandbox_bank::{Bank, BankConfig, BankIdentity};
use sandbox_kit::bind::bind;
use sandbox_kit::db::sqlite_url;
use sandbox_kit::event::{Event, Events};
use sandbox_kit::hpke::{self, Sealed};
use sandbox_kit::keys::{PartyKey, verify};
use sandbox_kit::maker_wallet;
use sandbox_kit::problem::Problem;
use sandbox_kit::server::{Authority, Running, serve};
use sandbox_network::authorise::AuthorisationQuery;
use sandbox_network::card_data::EntryMode;
use sandbox_network::entry::{EntryChallenge, EntryQuery, VerifyQuery};
use sandbox_network::limits::KeyLimits;
use sandbox_network::merchants::MerchantNotice;
use sandbox_network::payload::{CARD_ENTRY_INFO, PROVISIONING_INFO, Provisioning, Signed};
use sandbox_network::scheme::Scheme;
use sandbox_network::secrets::Secrets;
use sandbox_network::settle::Notification;
use sandbox_network::{Background, BankRoute, Maker, Network, NetworkConfig, derive};
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) const GOOD: &str = "6228480000000015";
pub(crate) const DEVICE: &str = "dev_1";

/// Everything one test needs; dropped, it is gone.
pub(crate) struct Here {
    pub(crate) network: Network,
    pub(crate) bank: Bank,
    pub(crate) sms: UnboundedReceiver<Event>,
    pub(crate) told: Arc<Mutex<Vec<Notification>>>,
    /// What the acquirer has been told.
    pub(crate) told_acquirer: Arc<Mutex<Vec<MerchantNotice>>>,
    pub(crate) provider_is_up: Arc<AtomicBool>,
    /// The provider takes this long over a notification, in milliseconds.
    pub(crate) provider_takes: Arc<AtomicU64>,
    pub(crate) seconds: Arc<AtomicI64>,
    pub(crate) acquirer: PartyKey,
    pub(crate) provider: PartyKey,
    pub(crate) authority: Authority,
    pub(crate) bank_server: Option<Running>,
    config: Box<dyn Fn() -> NetworkConfig>,
    _provider: Running,
    background: Option<Background>,
    _folder: tempfile::TempDir,
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

impl Here {
    pub(crate) async fn new() -> Self {
        Self::with_limits(KeyLimits::standard()).await
    }

    /// A network whose keys may pay so much.
    pub(crate) async fn with_limits(key_limits: KeyLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let network_folder = folder.path().join("network");
        let keys = Secrets::open_or_create(&network_folder.join("keys.json")).unwrap();
        let (acquirer, provider_party) = (PartyKey::generate(), PartyKey::generate());
        let seconds = Arc::new(AtomicI64::new(0));
        let start = sandbox_kit::clock::parse("2026-11-22T10:00:00Z").unwrap();
        let late = Arc::clone(&seconds);
        let clock: sandbox_network::Clock =
            Arc::new(move || start + time::Duration::seconds(late.load(Ordering::SeqCst)));
        let (events, sms) = Events::channel();
        let bank = Bank::open(BankConfig {
            folder: folder.path().join("bank-a"),
            database_url: None,
            identity: BankIdentity::A,
            network_key: keys.signing_key(),
            events,
            clock: clock.clone(),
            slowness: Duration::from_millis(1500),
        })
        .await
        .unwrap();
        let identity = authority.party("bank-a").unwrap();
        let bank_server = serve(bank.router(), listener(), &identity).unwrap();

        let told = Arc::new(Mutex::new(Vec::new()));
        let provider_is_up = Arc::new(AtomicBool::new(true));
        let provider_takes = Arc::new(AtomicU64::new(0));
        let (inbox, up) = (Arc::clone(&told), Arc::clone(&provider_is_up));
        let takes = Arc::clone(&provider_takes);
        let take = move |Json(note): Json<Notification>| async move {
            tokio::time::sleep(Duration::from_millis(takes.load(Ordering::SeqCst))).await;
            if !up.load(Ordering::SeqCst) {
                return Err(Problem::internal());
            }
            inbox.lock().unwrap().push(note);
            Ok(Json(serde_json::json!({})))
        };
        let told_acquirer = Arc::new(Mutex::new(Vec::new()));
        let inbox = Arc::clone(&told_acquirer);
        let take_notice = move |Json(notice): Json<MerchantNotice>| async move {
            inbox.lock().unwrap().push(notice);
            Json(serde_json::json!({}))
        };
        // The acquirer is at the same address.
        let router = Router::new()
            .route("/v1/notifications", post(take))
            .route("/v1/merchant-payments", post(take_notice));
        let provider = serve(router, listener(), &authority.party("provider").unwrap()).unwrap();

        let (ca_pem, provider_url) = (authority.ca_pem().to_vec(), provider.url.clone());
        let (bank_url, acquirer_key) = (bank_server.url.clone(), acquirer.public());
        let provider_key = provider_party.public();
        let config = Box::new(move || NetworkConfig {
            folder: network_folder.clone(),
            database_url: None,
            ca_pem: ca_pem.clone(),
            provider_key,
            acquirer_id: "acq_1".into(),
            acquirer_key,
            acquirer_url: provider_url.clone(),
            provider_url: provider_url.clone(),
            banks: vec![BankRoute {
                name: "bank-a".into(),
                bin: "622848".into(),
                url: bank_url.clone(),
            }],
            makers: vec![Maker {
                name: maker_wallet::MAKER.into(),
                key: maker_wallet::signing_key().public(),
            }],
            clock: clock.clone(),
            bank_timeout: Duration::from_secs(1),
            key_limits: key_limits.clone(),
        });
        let network = Network::open(config()).await.unwrap();
        let background = Some(network.start());
        Self {
            network,
            bank,
            sms,
            told,
            told_acquirer,
            provider_is_up,
            provider_takes,
            seconds,
            acquirer,
            provider: provider_party,
            authority,
            bank_server: Some(bank_server),
            config,
            _provider: provider,
            background,
            _folder: folder,
        }
    }

    /// The network's database, beside it.
    pub(crate) async fn database(&self) -> sqlx::AnyPool {
        let path = sandbox_network::database(&(self.config)().folder);
        sqlx::AnyPool::connect(&sqlite_url(&path)).await.unwrap()
    }

    /// Stops the network and opens it again on the same folder.
    pub(crate) async fn restart(&mut self) {
        self.background = None;
        self.network = Network::open((self.config)()).await.unwrap();
        self.background = Some(self.network.start());
    }

    pub(crate) async fn begin(&self, number: &str) -> Result<EntryChallenge, Problem> {
        self.begin_as(number, None).await
    }

    /// The same for a card of this scheme.
    pub(crate) async fn begin_as(
        &self,
        number: &str,
        scheme: Option<&str>,
    ) -> Result<EntryChallenge, Problem> {
        let card = format!(r#"{{"number":"{number}","expiry":"12/29"}}"#);
        let aad = bind("card-entry", &[DEVICE.as_bytes()]);
        let sealed_card = hpke::seal(
            &self.network.hpke_key(),
            CARD_ENTRY_INFO,
            &aad,
            card.as_bytes(),
        )
        .unwrap();
        self.network
            .begin_entry(&EntryQuery {
                device_id: DEVICE.into(),
                sealed_card,
                scheme: scheme.map(str::to_owned),
            })
            .await
    }

    pub(crate) fn code(&mut self) -> String {
        self.sms.try_recv().unwrap().fields["code"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Adds a card as a phone does and opens what it is given.
    pub(crate) async fn card(&mut self, number: &str) -> Phone {
        self.card_of(number, None).await
    }

    /// The same as a card of this scheme.
    pub(crate) async fn card_of(&mut self, number: &str, scheme: Option<&str>) -> Phone {
        let challenge = self.begin_as(number, scheme).await.unwrap();
        let key = PartyKey::generate();
        let query = VerifyQuery {
            device_id: DEVICE.into(),
            code: self.code(),
            provisioning_key: key.public_hex(),
        };
        let issued = self
            .network
            .finish_entry(&challenge.challenge_id, &query)
            .await
            .unwrap();
        let aad = bind(
            "provisioning",
            &[
                DEVICE.as_bytes(),
                challenge.challenge_id.as_bytes(),
                issued.token_ref.as_bytes(),
            ],
        );
        Phone {
            card: self.opened(&key, &aad, &issued.sealed),
            atc: 0,
        }
    }

    /// Opens a sealed payload and checks the network's signature.
    pub(crate) fn opened<T: serde::de::DeserializeOwned>(
        &self,
        key: &PartyKey,
        aad: &[u8],
        sealed: &Sealed,
    ) -> T {
        let signed = hpke::open(key, PROVISIONING_INFO, aad, sealed).unwrap();
        let signed: Signed = serde_json::from_slice(&signed).unwrap();
        let message = bind("tapcore-payload-v1", &[signed.payload.as_bytes()]);
        let signature = hex::decode(&signed.signature).unwrap();
        assert!(verify(&self.network.signing_key(), &message, &signature));
        serde_json::from_str(&signed.payload).unwrap()
    }

    /// What the provider has been told, once it is as many as expected.
    pub(crate) async fn notifications(&self, count: usize) -> Vec<Notification> {
        for _ in 0..400 {
            let told = self.told.lock().unwrap().clone();
            if told.len() >= count {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!(
            "the provider was told {} times only",
            self.told.lock().unwrap().len()
        );
    }
}

/// What card and terminal say in a payment besides amount and counter.
pub(crate) struct Said {
    /// The byte of the card verification results that tells online (A0), verified (A4) and declined (80) apart.
    pub(crate) result: &'static str,
    /// ISO 3166 numeric.
    pub(crate) country: &'static str,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            result: "A0",
            country: "0156",
        }
    }
}

/// A phone's token, with the counter it uses next.
pub(crate) struct Phone {
    pub(crate) card: Provisioning,
    pub(crate) atc: u16,
}

impl Phone {
    /// A tap of this amount under the next counter, as terminal and acquirer pass it on.
    pub(crate) fn tap(&mut self, trace: i64, amount_minor: i64) -> AuthorisationQuery {
        self.atc += 1;
        self.tap_with(trace, amount_minor, self.atc, 0)
    }

    /// A tap under a given counter and key.
    pub(crate) fn tap_with(
        &self,
        trace: i64,
        amount_minor: i64,
        atc: u16,
        key: usize,
    ) -> AuthorisationQuery {
        self.tap_saying(trace, amount_minor, atc, key, &Said::default())
    }

    /// The same, with what card and terminal say besides.
    pub(crate) fn tap_saying(
        &self,
        trace: i64,
        amount_minor: i64,
        atc: u16,
        key: usize,
        said: &Said,
    ) -> AuthorisationQuery {
        let key = &self.card.keys[key];
        let luk: [u8; 16] = hex::decode(&key.key).unwrap().try_into().unwrap();
        let scheme = self.card.profile.scheme;
        let (result, index) = (said.result, &key.key_index);
        // From the schemes' templates, and not by the network's own code.
        let iad = match scheme {
            Scheme::UnionPay => format!("0B010103{result}0000010{index}"),
            Scheme::Visa => format!("1F43010003{result}00000{index}{}", "00".repeat(20)),
            Scheme::Mastercard => format!("0110{result}00000000000{index}"),
        };
        let mut emv: BTreeMap<String, String> = [
            ("9F03", "000000000000"),
            ("9F1A", said.country),
            ("95", "0000000000"),
            ("5F2A", "0156"),
            ("9A", "261122"),
            ("9C", "00"),
            ("9F37", "01020304"),
            ("82", "0000"),
            ("9F27", "80"),
            ("9F66", "26000080"),
        ]
        .map(|(tag, value)| (tag.to_owned(), value.to_owned()))
        .into();
        emv.insert("9F36".into(), format!("{atc:04X}"));
        emv.insert("9F10".into(), iad);
        let mut data = hex::decode(format!("{amount_minor:012}")).unwrap();
        for tag in [
            "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37", "82", "9F36", "9F10",
        ] {
            data.extend(hex::decode(&emv[tag]).unwrap());
        }
        let ac_key = match scheme {
            Scheme::UnionPay | Scheme::Visa => luk,
            Scheme::Mastercard => derive::session_key(&luk, atc),
        };
        let arqc = derive::cryptogram(&ac_key, &data);
        emv.insert("9F26".into(), hex::encode_upper(arqc));
        AuthorisationQuery {
            acquirer_id: "acq_1".into(),
            terminal_id: "ter_1".into(),
            merchant_id: "mer_1".into(),
            merchant: "Mapo Tofu House".into(),
            mcc: "5812".into(),
            country: said.country.into(),
            trace,
            at: "2026-11-22T10:00:00Z".into(),
            amount_minor,
            currency: "CNY".into(),
            token: self.card.token.clone(),
            expiry: "2912".into(),
            psn: "01".into(),
            emv,
            entry: EntryMode::Tap,
            order: None,
        }
    }
}
