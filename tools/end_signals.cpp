#include "tools/end_signals.h"

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <system_error>
#include <thread>

namespace warptape::tools {
namespace {

std::atomic<bool> in_order{false};
std::atomic<int> noted_signal{0};

// As if it had never been blocked.
void end_by(int signal) {
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

void receive(sigset_t signals) {
  while (true) {
    int signal = 0;
    int none = 0;
    if (sigwait(&signals, &signal) == 0 &&
        !(in_order && noted_signal.compare_exchange_strong(none, signal))) {
      end_by(signal);
    }
  }
}

}  // namespace

void receive_end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction present {};
    ::sigaction(signal, nullptr, &present);
    if (signal != SIGHUP || present.sa_handler != SIG_IGN) {  // nohup
      sigaddset(&signals, signal);
    }
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  try {
    std::thread(receive, signals).detach();
  } catch (const std::system_error&) {  // no thread to be had: they end the program at once
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  }
}

void end_in_order() {
  in_order = true;
}

int end_signal() {
  return noted_signal;
}

}  // namespace warptape::tools
