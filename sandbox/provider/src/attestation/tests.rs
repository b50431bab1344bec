//! Chains of the test maker, and chains that are wrong in one way each.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use sandbox_kit::clock;
use sandbox_kit::keys::PartyKey;
use sandbox_kit::maker::{self, Level};
use time::{Duration, OffsetDateTime};

use super::*;

const CHALLENGE: &[u8; 32] = b"thirty-two bytes of a challenge.";
const ATTESTATION: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 1, 17];

fn judge(
    roots: &[Vec<u8>],
    chain: &[Vec<u8>],
    device_key: &[u8; 65],
    key_store: KeyStore,
) -> Result<bool, Fault> {
    let claim = Claim {
        device_key,
        challenge: CHALLENGE,
        key_store,
    };
    Roots::new(roots.to_vec())
        .unwrap()
        .judge(chain, &claim, clock::unix_now())
}

fn by_maker(chain: &[Vec<u8>], key: &PartyKey, key_store: KeyStore) -> Result<bool, Fault> {
    judge(&[maker::root()], chain, &key.public(), key_store)
}

const LEVELS: [(Level, KeyStore); 3] = [
    (Level::Software, KeyStore::Software),
    (Level::Tee, KeyStore::Tee),
    (Level::StrongBox, KeyStore::Strongbox),
];

#[test]
fn s03_a_chain_of_the_maker_proves_its_own_level_and_no_other() {
    let key = PartyKey::generate();
    for (level, claimed) in LEVELS {
        let chain = maker::attest(&key.public(), CHALLENGE, level);
        assert_eq!(by_maker(&chain, &key, claimed), Ok(true));
        // The root may be left out: it is known.
        assert_eq!(by_maker(&chain[..2], &key, claimed), Ok(true));
        for (_, other) in LEVELS {
            if other != claimed {
                let judged = by_maker(&chain, &key, other);
                assert_eq!(judged, Err(Fault::OtherLevel), "{level:?} as {other:?}");
            }
        }
        assert_eq!(
            by_maker(&chain, &key, KeyStore::SecureEnclave),
            Err(Fault::OtherLevel)
        );
    }
}

#[test]
fn s03_hardware_needs_a_chain_and_software_is_unproven_without_one() {
    let key = PartyKey::generate();
    for hardware in [KeyStore::Tee, KeyStore::Strongbox] {
        assert_eq!(by_maker(&[], &key, hardware), Err(Fault::Missing));
    }
    for unproven in [KeyStore::Software, KeyStore::SecureEnclave] {
        assert_eq!(by_maker(&[], &key, unproven), Ok(false));
    }
}

#[test]
fn s03_another_key_or_an_older_challenge_proves_nothing() {
    let (key, other) = (PartyKey::generate(), PartyKey::generate());
    let chain = maker::attest(&key.public(), CHALLENGE, Level::Tee);
    assert_eq!(
        by_maker(&chain, &other, KeyStore::Tee),
        Err(Fault::OtherKey)
    );
    for challenge in [&b"thirty-two bytes of a challenge,"[..], b"", b"short"] {
        let chain = maker::attest(&key.public(), challenge, Level::Tee);
        let judged = by_maker(&chain, &key, KeyStore::Tee);
        assert_eq!(judged, Err(Fault::OtherChallenge), "{challenge:?}");
    }
}

#[test]
fn s03_any_changed_bit_and_any_cut_refuses_the_chain() {
    let key = PartyKey::generate();
    let good = maker::attest(&key.public(), CHALLENGE, Level::Tee);
    // The root is compared as a whole and then stands for itself, so the two below it are the ones to change.
    for index in 0..2 {
        for bit in 0..good[index].len() * 8 {
            let mut chain = good.clone();
            chain[index][bit / 8] ^= 1 << (bit % 8);
            let judged = by_maker(&chain, &key, KeyStore::Tee);
            assert!(judged.is_err(), "certificate {index}, bit {bit}");
        }
        for length in (0..good[index].len()).step_by(7) {
            let mut chain = good.clone();
            chain[index].truncate(length);
            assert!(by_maker(&chain, &key, KeyStore::Tee).is_err());
        }
        let mut chain = good.clone();
        chain[index].push(0);
        assert_eq!(
            by_maker(&chain, &key, KeyStore::Tee),
            Err(Fault::Unreadable)
        );
    }
    let mut broken = good.clone();
    let last = broken[0].len() - 1;
    broken[0][last] ^= 1;
    assert_eq!(by_maker(&broken, &key, KeyStore::Tee), Err(Fault::Broken));
}

#[test]
fn s03_the_order_of_a_chain_counts() {
    let key = PartyKey::generate();
    let good = maker::attest(&key.public(), CHALLENGE, Level::Tee);
    let again = maker::attest(&key.public(), CHALLENGE, Level::Tee);
    for (order, fault) in [
        (vec![&good[0]], Fault::Untrusted),
        (vec![&good[0], &good[2]], Fault::Broken),
        (vec![&good[1], &good[0], &good[2]], Fault::Broken),
        (vec![&good[2]], Fault::OtherKey),
        (vec![&good[0], &again[1], &good[2]], Fault::Broken),
        (vec![&good[2], &good[1], &good[0]], Fault::Untrusted),
    ] {
        let chain: Vec<Vec<u8>> = order.into_iter().cloned().collect();
        let judged = by_maker(&chain, &key, KeyStore::Tee);
        // Where a certificate stands in for its signer, lacking authority is found before the signature.
        assert!(
            judged == Err(fault) || judged == Err(Fault::NoAuthority),
            "{judged:?}, expected {fault:?}"
        );
    }
}

#[test]
fn s03_garbage_is_refused() {
    let key = PartyKey::generate();
    let good = maker::attest(&key.public(), CHALLENGE, Level::Tee);
    for garbage in [
        vec![0],
        vec![0x30, 0x80],
        vec![0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
        vec![0xFF; 600],
        b"-----BEGIN CERTIFICATE-----".to_vec(),
    ] {
        for index in 0..3 {
            let mut chain = good.clone();
            chain[index].clone_from(&garbage);
            let judged = by_maker(&chain, &key, KeyStore::Tee);
            assert_eq!(judged, Err(Fault::Unreadable));
        }
    }
    assert!(Roots::new(vec![vec![0x30]]).is_err());
}

/// A maker of its own, to make mistakes with.
struct Workshop {
    root: Vec<u8>,
    root_issuer: Issuer<'static, KeyPair>,
    device: KeyPair,
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    parameters.not_after = OffsetDateTime::now_utc() + Duration::days(1);
    parameters
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = named(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
}

fn attested(description: Vec<u8>) -> CertificateParams {
    let mut leaf = named("leaf");
    leaf.custom_extensions = vec![CustomExtension::from_oid_content(ATTESTATION, description)];
    leaf
}

fn tee() -> CertificateParams {
    attested(maker::key_description(CHALLENGE, Level::Tee))
}

impl Workshop {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let parameters = authority("root of this test");
        Self {
            root: parameters.self_signed(&key).unwrap().der().to_vec(),
            root_issuer: Issuer::new(parameters, key),
            device: KeyPair::generate().unwrap(),
        }
    }

    fn device_key(&self) -> [u8; 65] {
        self.device.der_bytes().try_into().unwrap()
    }

    /// Root, then these authorities, then the leaf.
    fn chain(&self, authorities: Vec<CertificateParams>, leaf: &CertificateParams) -> Vec<Vec<u8>> {
        let mut chain = vec![self.root.clone()];
        let mut issuer: Option<Issuer<'static, KeyPair>> = None;
        for parameters in authorities {
            let key = KeyPair::generate().unwrap();
            let signer = issuer.as_ref().unwrap_or(&self.root_issuer);
            let made = parameters.signed_by(&key, signer).unwrap();
            chain.insert(0, made.der().to_vec());
            issuer = Some(Issuer::new(parameters, key));
        }
        let signer = issuer.as_ref().unwrap_or(&self.root_issuer);
        let made = leaf.signed_by(&self.device, signer).unwrap();
        chain.insert(0, made.der().to_vec());
        chain
    }

    fn judge(&self, chain: &[Vec<u8>]) -> Result<bool, Fault> {
        let roots = [maker::root(), self.root.clone()];
        judge(&roots, chain, &self.device_key(), KeyStore::Tee)
    }
}

#[test]
fn s03_a_chain_to_a_root_that_is_not_trusted_is_refused() {
    let shop = Workshop::new();
    let chain = shop.chain(vec![authority("batch")], &tee());
    assert_eq!(shop.judge(&chain), Ok(true));
    let judged = judge(&[maker::root()], &chain, &shop.device_key(), KeyStore::Tee);
    assert_eq!(judged, Err(Fault::Untrusted));

    // A root of the same name with another key is another root.
    let namesake = Workshop::new();
    let roots = [namesake.root];
    for chain in [&chain[..], &chain[..2]] {
        let judged = judge(&roots, chain, &shop.device_key(), KeyStore::Tee);
        assert_eq!(judged, Err(Fault::Broken));
    }
}

#[test]
fn s03_certificates_out_of_time_are_refused() {
    let shop = Workshop::new();
    let mut over = authority("batch");
    over.not_after = OffsetDateTime::now_utc() - Duration::minutes(1);
    let chain = shop.chain(vec![over], &tee());
    assert_eq!(shop.judge(&chain), Err(Fault::OutOfTime));
    let mut early = tee();
    early.not_before = OffsetDateTime::now_utc() + Duration::minutes(10);
    let chain = shop.chain(vec![authority("batch")], &early);
    assert_eq!(shop.judge(&chain), Err(Fault::OutOfTime));
    let chain = shop.chain(vec![authority("batch")], &tee());
    let claim = Claim {
        device_key: &shop.device_key(),
        challenge: CHALLENGE,
        key_store: KeyStore::Tee,
    };
    let roots = Roots::new(vec![shop.root.clone()]).unwrap();
    let later = clock::unix_now() + 3 * 86_400;
    assert_eq!(roots.judge(&chain, &claim, later), Err(Fault::OutOfTime));
}

#[test]
fn s03_only_authorities_sign_certificates() {
    let shop = Workshop::new();
    let mut no_sign = authority("batch");
    no_sign.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mut explicit = named("batch");
    explicit.is_ca = IsCa::ExplicitNoCa;
    let mut short = authority("batch");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    // An app's own attested key, made an authority by itself: what it signs is the app's word.
    let mut of_an_app = authority("batch");
    of_an_app.custom_extensions = tee().custom_extensions;
    for (what, authorities) in [
        ("no constraints", vec![named("batch")]),
        ("explicitly none", vec![explicit]),
        ("not for certificates", vec![no_sign]),
        ("path too long", vec![short.clone(), authority("sub")]),
        ("attested itself", vec![of_an_app]),
    ] {
        let chain = shop.chain(authorities, &tee());
        assert_eq!(shop.judge(&chain), Err(Fault::NoAuthority), "{what}");
    }
    let chain = shop.chain(vec![authority("batch"), short], &tee());
    assert_eq!(shop.judge(&chain), Ok(true));
}

#[test]
fn s03_the_description_must_be_there_once_and_whole() {
    let shop = Workshop::new();
    let bare = shop.chain(vec![authority("batch")], &named("leaf"));
    assert_eq!(shop.judge(&bare), Err(Fault::Unreadable));
    let good = maker::key_description(CHALLENGE, Level::Tee);
    let mut twice = tee();
    twice.custom_extensions.extend(tee().custom_extensions);
    let mut unknown = tee();
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    unknown.custom_extensions.push(extension);
    let mut longer = good.clone();
    longer.push(0);
    for (what, leaf) in [
        ("twice", twice),
        ("critical and unknown", unknown),
        ("nothing", attested(vec![5, 0])),
        ("more behind it", attested(longer)),
    ] {
        let chain = shop.chain(vec![authority("batch")], &leaf);
        assert_eq!(shop.judge(&chain), Err(Fault::Unreadable), "{what}");
    }
    // Cut or changed anywhere, it is read without a panic.
    for byte in 0..good.len() {
        let _ = KeyDescription::read(&good[..byte]);
        let mut changed = good.clone();
        changed[byte] = !changed[byte];
        let _ = KeyDescription::read(&changed);
    }
}

#[test]
fn s03_a_key_that_was_imported_or_does_more_than_sign_is_refused() {
    let shop = Workshop::new();
    let good = maker::key_description(CHALLENGE, Level::Tee);
    // purpose [1] { SIGN } and origin [702] GENERATED, with other values of the same length.
    for (from, to) in [
        (
            &[0xA1, 5, 0x31, 3, 2, 1, 2][..],
            &[0xA1, 5, 0x31, 3, 2, 1, 0][..],
        ),
        (
            &[0xBF, 0x85, 0x3E, 3, 2, 1, 0],
            &[0xBF, 0x85, 0x3E, 3, 2, 1, 2],
        ),
    ] {
        let at = good
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        let mut other = good.clone();
        other[at..at + to.len()].copy_from_slice(to);
        let chain = shop.chain(vec![authority("batch")], &attested(other));
        assert_eq!(shop.judge(&chain), Err(Fault::OtherUse));
    }
    // What only the system above vouches for is not what the level vouches for.
    let mut mixed = maker::key_description(CHALLENGE, Level::Software);
    let numbers: Vec<usize> = mixed
        .windows(3)
        .enumerate()
        .filter(|(at, window)| *at < 24 && *window == [0x0A, 1, 0])
        .map(|(at, _)| at + 2)
        .collect();
    assert_eq!(numbers.len(), 2);
    for at in numbers {
        mixed[at] = 1;
    }
    let chain = shop.chain(vec![authority("batch")], &attested(mixed));
    assert_eq!(shop.judge(&chain), Err(Fault::OtherUse));
}
