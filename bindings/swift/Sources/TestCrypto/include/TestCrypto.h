// P-256 and AES-256-GCM from OpenSSL, as much of them as the tests' software key store needs.
// Functions answer 1 when they succeeded and 0 otherwise.
#ifndef TEST_CRYPTO_H
#define TEST_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

/// A fresh P-256 key pair, or null.
void *_Nullable test_key_generate(void);
void test_key_free(void *_Nullable key);
/// The public key, SEC1 uncompressed: 65 bytes.
int test_key_public(void *_Nonnull key, uint8_t *_Nonnull out);
/// ECDSA over SHA-256, r and s of 32 bytes each: 64 bytes.
int test_key_sign(void *_Nonnull key, const uint8_t *_Nonnull message, size_t length, uint8_t *_Nonnull out);

/// AES-256-GCM; `out` holds the text and the 16 bytes of its tag.
int test_seal(const uint8_t *_Nonnull key, const uint8_t *_Nonnull nonce, const uint8_t *_Nonnull text,
              size_t length, uint8_t *_Nonnull out);
/// The reverse: `length` counts the tag, `out` holds 16 bytes less.
int test_open(const uint8_t *_Nonnull key, const uint8_t *_Nonnull nonce, const uint8_t *_Nonnull sealed,
              size_t length, uint8_t *_Nonnull out);

#endif
