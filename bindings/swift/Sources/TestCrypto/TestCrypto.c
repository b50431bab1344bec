#include "TestCrypto.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

enum { TAG = 16, NONCE = 12, HALF = 32, POINT = 65, DER = 80 };

void *test_key_generate(void) { return EVP_EC_gen("P-256"); }

void test_key_free(void *key) { EVP_PKEY_free(key); }

int test_key_public(void *key, uint8_t *out) {
  size_t written = 0;
  int done = EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out, POINT, &written);
  return done == 1 && written == POINT && out[0] == 4;
}

/// OpenSSL signs in DER; the wallet wants two numbers of fixed length.
static int fixed(const uint8_t *der, size_t length, uint8_t *out) {
  ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);
  if (signature == NULL) return 0;
  int done = BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, HALF) == HALF &&
             BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + HALF, HALF) == HALF;
  ECDSA_SIG_free(signature);
  return done;
}

int test_key_sign(void *key, const uint8_t *message, size_t length, uint8_t *out) {
  uint8_t der[DER];
  size_t written = sizeof der;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int done = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
             EVP_DigestSign(context, der, &written, message, length) == 1 && fixed(der, written, out);
  EVP_MD_CTX_free(context);
  return done;
}

int test_seal(const uint8_t *key, const uint8_t *nonce, const uint8_t *text, size_t length, uint8_t *out) {
  int written = 0;
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  int done = context != NULL && EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
             EVP_EncryptUpdate(context, out, &written, text, (int)length) == 1 &&
             EVP_EncryptFinal_ex(context, out + written, &written) == 1 &&
             EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG, out + length) == 1;
  EVP_CIPHER_CTX_free(context);
  return done;
}

int test_open(const uint8_t *key, const uint8_t *nonce, const uint8_t *sealed, size_t length, uint8_t *out) {
  if (length < TAG) return 0;
  int text = (int)length - TAG;
  int written = 0;
  uint8_t tag[TAG];
  for (int i = 0; i < TAG; i++) tag[i] = sealed[text + i];
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  int done = context != NULL && EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
             EVP_DecryptUpdate(context, out, &written, sealed, text) == 1 &&
             EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 &&
             EVP_DecryptFinal_ex(context, out + written, &written) == 1;
  EVP_CIPHER_CTX_free(context);
  return done;
}
