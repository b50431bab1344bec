package io.tapcore.android

import android.content.Context
import android.content.DialogInterface
import android.hardware.biometrics.BiometricManager
import android.hardware.biometrics.BiometricPrompt
import android.os.Build
import android.os.CancellationSignal
import android.security.keystore.KeyPermanentlyInvalidatedException
import io.tapcore.PromptOutcome
import io.tapcore.Purpose
import io.tapcore.VerificationRequest
import io.tapcore.Wallet
import java.security.GeneralSecurityException
import java.security.KeyStore
import java.security.PrivateKey
import java.security.UnrecoverableKeyException
import javax.crypto.Cipher
import kotlin.coroutines.resume
import kotlinx.coroutines.suspendCancellableCoroutine

/**
 * The system's prompt for a fingerprint or a face. What the core wants opened is opened by a key that the
 * hardware frees for this one use once it has seen the person: an app that merely believed "recognised"
 * could be told so by a hook.
 *
 * Android 9 or later; on older phones [isPossible] says no, and the PIN is the way in.
 *
 * @param context an activity that is seen
 */
class VerificationPrompt(private val context: Context) {
    /** Whether the phone has a sensor of the strong class, and a finger or face to know again. */
    fun isPossible(): Boolean = when {
        Build.VERSION.SDK_INT >= Build.VERSION_CODES.R ->
            manager()?.canAuthenticate(BiometricManager.Authenticators.BIOMETRIC_STRONG)
        Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q -> {
            @Suppress("DEPRECATION")
            manager()?.canAuthenticate()
        }
        // Android 9 cannot be asked ahead: making the key tells.
        Build.VERSION.SDK_INT >= Build.VERSION_CODES.P -> BiometricManager.BIOMETRIC_SUCCESS
        else -> null
    } == BiometricManager.BIOMETRIC_SUCCESS

    /**
     * Verifies the person for [purpose] and answers the verification's identifier, which is good once. Throws what the
     * wallet makes of a closed prompt or a key that a new finger has invalidated.
     */
    suspend fun verify(wallet: Wallet, purpose: Purpose, title: String): String {
        val request = wallet.beginVerification(purpose)
        val outcome = ask(request, title)
        try {
            wallet.finishVerification(request.id, outcome)
        } finally {
            if (outcome is PromptOutcome.Unwrapped) outcome.key.fill(0)
        }
        return request.id
    }

    /** Shows the prompt and unwraps inside it. Call it on the main thread, and wipe what it gives. */
    suspend fun ask(request: VerificationRequest, title: String): PromptOutcome {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.P) return PromptOutcome.Cancelled
        val cipher = try {
            cipher(request.alias) ?: return PromptOutcome.Invalidated
        } catch (_: KeyPermanentlyInvalidatedException) {
            return PromptOutcome.Invalidated
        } catch (_: UnrecoverableKeyException) {
            // What some versions say of the same.
            return PromptOutcome.Invalidated
        } catch (_: Exception) {
            return PromptOutcome.Cancelled
        }
        val shown = show(cipher, title) ?: return PromptOutcome.Cancelled
        return try {
            PromptOutcome.Unwrapped(shown.doFinal(request.wrapped))
        } catch (_: GeneralSecurityException) {
            // The hardware does not take the person for verified, or what was wrapped is damaged: nothing came out.
            PromptOutcome.Cancelled
        }
    }

    /** The cipher that waits for the person; null where the key is gone. */
    private fun cipher(alias: String): Cipher? {
        val keys = KeyStore.getInstance(KeystoreKeyStore.PROVIDER).apply { load(null) }
        val key = keys.getKey(KeystoreKeyStore.PREFIX + alias, null) as? PrivateKey ?: return null
        return Cipher.getInstance(OAEP_CIPHER).apply { init(Cipher.DECRYPT_MODE, key, OAEP) }
    }

    /** The cipher once it is free; null when the prompt ended in any other way. */
    private suspend fun show(cipher: Cipher, title: String): Cipher? = suspendCancellableCoroutine { waiting ->
        val closing = CancellationSignal()
        waiting.invokeOnCancellation { closing.cancel() }
        val answers = object : BiometricPrompt.AuthenticationCallback() {
            override fun onAuthenticationSucceeded(result: BiometricPrompt.AuthenticationResult) =
                end(result.cryptoObject?.cipher)

            // Closed, cancelled by the system, or locked after too many tries. A finger that is not recognised is no end.
            override fun onAuthenticationError(code: Int, message: CharSequence?) = end(null)

            fun end(freed: Cipher?) {
                if (waiting.isActive) waiting.resume(freed)
            }
        }
        BiometricPrompt.Builder(context)
            .setTitle(title)
            .setNegativeButton(
                context.getString(android.R.string.cancel), context.mainExecutor,
                DialogInterface.OnClickListener { _, _ -> answers.end(null) },
            )
            .also {
                // A face is shown to the phone all day long: it confirms a payment with a press only.
                if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) it.setConfirmationRequired(true)
            }
            .build()
            .authenticate(BiometricPrompt.CryptoObject(cipher), closing, context.mainExecutor, answers)
    }

    private fun manager(): BiometricManager? =
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) context.getSystemService(BiometricManager::class.java) else null
}
