import SwiftUI
import Tapcore
import TapcoreShell

/// Cards, payments, and the way to pay.
struct WalletScreen: View {
    let model: WalletModel
    let access: AccessModel
    let tap: TapModel
    let wallet: Wallet
    let session: PaymentSession
    let maker: @MainActor (PaymentCard) -> MakerModel
    let code: CodeModel
    let merchant: MerchantModel
    @State private var isEnrolling = false
    @State private var isAddingCard = false
    @State private var isShowingCode = false
    @State private var isPayingCode = false
    @State private var isAtAccess = false
    @State private var paymentProblem: String?

    var body: some View {
        NavigationStack {
            List {
                ProblemLine(problem: paymentProblem ?? tap.problem ?? model.problem)
                if let refusal = model.refusal {
                    Text(sentence(refusal))
                }
                Section("Cards") {
                    ForEach(model.cards, id: \.tokenRef) { CardRow(card: $0, model: model, maker: maker) }
                    if model.enrolled {
                        Button("Add a card") { isAddingCard = true }
                    } else {
                        Button("Connect to a provider") { isEnrolling = true }
                    }
                }
                if !model.cards.isEmpty {
                    Button("Pay") { pay() }.disabled(model.refusal != nil)
                    Button("Show a payment code") { isShowingCode = true }
                    Button("Pay a shop's code") { isPayingCode = true }
                    Text("\(model.tapsLeft) payments and \(model.codesLeft) codes without a network")
                }
                Button("Lock, unlock, PIN") { isAtAccess = true }
                Section("Payments") {
                    ForEach(model.payments) { PaymentRow(line: $0) }
                }
            }
            .navigationTitle("Tapcore")
            .refreshable { await model.sync() }
        }
        .sheet(isPresented: $isAtAccess, onDismiss: { Task { await model.refresh() } }) {
            AccessScreen(model: access)
        }
        .sheet(isPresented: $isShowingCode, onDismiss: { Task { await model.refresh() } }) {
            CodeScreen(model: code)
        }
        .sheet(isPresented: $isPayingCode, onDismiss: { Task { await model.refresh() } }) {
            MerchantScreen(model: merchant)
        }
        .sheet(isPresented: isAsking) { TapScreen(model: tap, pay: pay) }
        .sheet(isPresented: $isEnrolling) { EnrolScreen(model: model) }
        .sheet(isPresented: $isAddingCard, onDismiss: { Task { await model.refresh() } }) {
            AddCardScreen(model: AddCardModel(wallet: wallet))
        }
    }

    /// Whether a payment waits for the person; put away, it is not wanted any more.
    private var isAsking: Binding<Bool> {
        Binding(get: { tap.wanted != nil }, set: { if !$0 { tap.dismiss() } })
    }

    private func pay() {
        Task {
            do {
                try await session.run()
                paymentProblem = nil
            } catch {
                paymentProblem = PaymentSession.sentence(error)
            }
        }
    }
}

private struct CardRow: View {
    let card: PaymentCard
    let model: WalletModel
    let maker: @MainActor (PaymentCard) -> MakerModel
    @State private var isDeleting = false
    @State private var isPassing = false

    var body: some View {
        LabeledContent("\(card.bank) \(card.maskedCard)", value: sentence(card))
            .swipeActions {
                switch card.state {
                case .active:
                    if card.home == nil {
                        Button("Pay next") { Task { await model.useNext(card) } }
                        Button("Default") { Task { await model.makeDefault(card) } }
                        if MakerScreen.isPossible {
                            Button("Apple Wallet") { isPassing = true }
                        }
                    }
                    Button("Suspend") { Task { await model.suspend(card) } }
                case .suspended: Button("Resume") { Task { await model.resume(card) } }
                case .deleted: EmptyView()
                }
                if card.state != .deleted {
                    Button("Delete", role: .destructive) { isDeleting = true }
                }
            }
            .sheet(isPresented: $isPassing, onDismiss: { Task { await model.refresh() } }) {
                MakerScreen(model: maker(card))
            }
            .confirmationDialog(
                "A deleted card cannot be brought back; it can only be added again.", isPresented: $isDeleting,
                titleVisibility: .visible
            ) {
                Button("Delete", role: .destructive) { Task { await model.delete(card) } }
            }
    }
}

private struct PaymentRow: View {
    let line: PaymentLine

    var body: some View {
        VStack(alignment: .leading) {
            LabeledContent(line.merchant, value: line.amount)
            Text("\(line.at.formatted()) · \(line.state) · \(line.account)")
                .font(.footnote)
                .foregroundStyle(.secondary)
        }
    }
}
