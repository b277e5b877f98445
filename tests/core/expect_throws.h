#pragma once
// Expects an error of exactly one type whose message has certain parts.

#include <gtest/gtest.h>

#include <string>
#include <typeinfo>
#include <vector>

#include "core/error.h"

namespace warptape {

template <class E, class Function>
void expect_throws(Function&& run, const std::vector<std::string>& parts) {
  try {
    run();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_TRUE(typeid(error) == typeid(E)) << "another type of error: " << message;
    for (const std::string& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
    }
    return;
  }
  ADD_FAILURE() << "nothing was thrown";
}

}  // namespace warptape
