//! The core's own runtime: two workers with small stacks, and futures that stop when they are dropped.

use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::WalletError;
use crate::wallet::Wallet;

/// Stack of a worker, in bytes; futures are small and nothing recurses.
const STACK: usize = 512 * 1024;

static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK)
        .thread_name("tapcore")
        .enable_all()
        .build()
        .ok()
});

/// The runtime.
///
/// # Errors
/// When the system gives no threads.
pub(super) fn handle() -> Result<Handle, WalletError> {
    RUNTIME
        .as_ref()
        .map(|runtime| runtime.handle().clone())
        .ok_or_else(|| WalletError::Internal {
            detail: "The phone has no threads left for the wallet: restart the app.".into(),
        })
}

/// Runs a future on the core's workers and waits for it; dropping the wait stops the work.
pub(super) async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, crate::wallet::WalletError>> + Send + 'static,
) -> Result<T, WalletError> {
    let (done, result) = oneshot::channel();
    // Boxed, so that the runtime's code for a task is there once and not for each function.
    let work: Task = Box::pin(async move {
        // Whoever waited may have given up.
        let _ = done.send(work.await);
    });
    let _guard = AbortOnDrop(handle()?.spawn(work));
    match result.await {
        Ok(result) => Ok(result?),
        // The panic's text may hold anything, so it stays here.
        Err(_) => Err(WalletError::Internal {
            detail: "The wallet hit a fault of its own: try again, and report it if it stays."
                .into(),
        }),
    }
}

/// As [`run`], for work that talks to the provider: an answer that concerns the whole phone is heeded.
pub(super) async fn contact<T: Send + 'static>(
    wallet: &Arc<Wallet>,
    work: impl Future<Output = Result<T, crate::wallet::WalletError>> + Send + 'static,
) -> Result<T, WalletError> {
    let wallet = Arc::clone(wallet);
    run(async move { wallet.contact(work).await }).await
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Dropping a bare handle only detaches the task.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
