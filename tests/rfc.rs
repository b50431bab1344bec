//! The standards' own examples, run through what the wallet uses.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tapcore::vault::{RecipientKey, SealedBox, verify_signature};

/// RFC 9180's test vectors (published with it by the CFRG), base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256,
/// AES-256-GCM: the first encryption.
mod hpke_vector {
    pub(super) const SK_R: &str =
        "317f915db7bc629c48fe765587897e01e282d3e8445f79f27f65d031a88082b2";
    pub(super) const PK_R: &str = "04abc7e49a4c6b3566d77d0304addc6ed0e98512ffccf505e6a8e3eb25c685136f\
        853148544876de76c0f2ef99cdc3a05ccf5ded7860c7c021238f9e2073d2356c";
    pub(super) const ENC: &str = "04c06b4f6bebc7bb495cb797ab753f911aff80aefb86fd8b6fcc35525f3ab5f03e\
        0b21bd31a86c6048af3cb2d98e0d3bf01da5cc4c39ff5370d331a4f1f7d5a4e0";
    pub(super) const INFO: &[u8] = b"Ode on a Grecian Urn";
    pub(super) const AAD: &[u8] = b"Count-0";
    pub(super) const CT: &str = "58c61a45059d0c5704560e9d88b564a8b63f1364b8d1fcb3c4c6ddc1d2917424\
        65e902cd216f8908da49f8f96f";
    pub(super) const PT: &[u8] = b"Beauty is truth, truth beauty";
}

#[test]
fn s40_rfc_9180_opens_and_only_with_its_info_and_aad() {
    use hpke_vector::{AAD, CT, ENC, INFO, PK_R, PT, SK_R};
    let key = RecipientKey::restore(&hex::decode(SK_R).unwrap()).unwrap();
    assert_eq!(hex::encode(key.public().unwrap()), PK_R);
    let sealed = SealedBox {
        enc: ENC.into(),
        ciphertext: CT.into(),
    };
    assert_eq!(key.open(&sealed, INFO, AAD).unwrap().expose(), PT);
    assert!(key.open(&sealed, b"Ode to a Nightingale", AAD).is_err());
    assert!(key.open(&sealed, INFO, b"Count-1").is_err());
    for damaged in [
        SealedBox {
            enc: PK_R.into(),
            ..sealed.clone()
        },
        SealedBox {
            ciphertext: CT.replace("58c6", "58c7"),
            ..sealed.clone()
        },
        SealedBox {
            ciphertext: "58".into(),
            ..sealed.clone()
        },
        SealedBox {
            enc: "04".into(),
            ..sealed
        },
    ] {
        assert!(key.open(&damaged, INFO, AAD).is_err());
    }
}

/// RFC 9421, B.2.4 (`sig-b24`): ECDSA P-256 over a response, by the key of B.1.3. The RFC's base is written out here; the
/// wallet signs requests only, by the same algorithm.
#[test]
fn s37_rfc_9421_b_2_4_verifies() {
    let coordinate = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
    let public = [
        vec![4],
        coordinate("qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA"),
        coordinate("Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0"),
    ]
    .concat();
    let base = "\"@status\": 200\n\
        \"content-type\": application/json\n\
        \"content-digest\": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:\n\
        \"content-length\": 23\n\
        \"@signature-params\": (\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"";
    let signature = STANDARD
        .decode("wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==")
        .unwrap();
    assert!(verify_signature(&public, base.as_bytes(), &signature).is_ok());
    let other = base.replace("200", "201");
    assert!(verify_signature(&public, other.as_bytes(), &signature).is_err());
}
