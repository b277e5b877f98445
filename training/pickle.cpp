#include "training/pickle.h"

#include <bit>
#include <cstring>
#include <map>
#include <optional>

#include "core/check.h"

namespace warptape {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t most_values = 2'000'000;  // some 25 for a tensor

// What the opcodes mean is in Python's pickletools.
class PickleReader {
 public:
  PickleReader(std::string_view bytes, const std::function<bool(const std::string&)>& is_allowed,
               const std::function<void(const std::string&)>& fail)
      : bytes_(bytes), is_allowed_(is_allowed), fail_(fail) {}

  Pickle read() {
    while (true) {
      opcode_at_ = at_;
      const char opcode = take(1)[0];
      if (opcode == '.') {
        result_.root = pop();
        return std::move(result_);
      }
      run(opcode);
    }
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    fail_(fmt::format("byte {}: {}", opcode_at_, message));
    throw FileError(message);  // fail_ has thrown
  }

  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) {
      fail(fmt::format("got {} bytes, wanted {} (is the file cut off?)", bytes_.size() - at_,
                       count));
    }
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }
  template <class T>
  T take_number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string take_line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) {
      fail("got a line without an end");
    }
    std::string line(bytes_.substr(at_, end - at_));
    at_ = end + 1;
    return line;
  }

  void push(PickleValue value) {
    if (result_.values.size() >= most_values) {
      fail(fmt::format("got more than {} values", size_t{most_values}));
    }
    stack_.push_back(result_.values.size());
    result_.values.push_back(std::move(value));
  }
  size_t pop() {
    const size_t least = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= least) {
      fail("got an empty stack, wanted a value");
    }
    const size_t value = stack_.back();
    stack_.pop_back();
    return value;
  }
  PickleValue& top(Kind kind, const char* what) {
    const size_t least = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= least || result_.values[stack_.back()].kind != kind) {
      fail(fmt::format("wanted {} on the stack", what));
    }
    return result_.values[stack_.back()];
  }
  std::vector<size_t> pop_to_mark() {
    if (marks_.empty()) {
      fail("got no mark on the stack");
    }
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<size_t> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  void push_tuple(int count) {
    std::vector<size_t> items(static_cast<size_t>(count));
    for (size_t i = items.size(); i-- > 0;) {
      items[i] = pop();
    }
    push({.kind = Kind::Tuple, .items = std::move(items)});
  }
  void push_global(const std::string& name) {
    if (!is_allowed_(name)) {
      fail(fmt::format("got {}, which is no part of a checkpoint of plain tensors", excerpt(name)));
    }
    push({.kind = Kind::Global, .text = name});
  }
  void push_int(int64_t number) { push({.kind = Kind::Int, .number = number}); }
  void push_string(uint64_t size) { push({.kind = Kind::String, .text = std::string(take(size))}); }
  // What needs memory and makes no value.
  void count() {
    if (++others_ > 6 * most_values) {
      fail(fmt::format("got more than {} marks and memos", size_t{6 * most_values}));
    }
  }
  void remember(uint64_t key) {
    count();
    if (stack_.empty()) {
      fail("got an empty stack, wanted a value");
    }
    memo_[key] = stack_.back();
  }
  void recall(uint64_t key) {
    count();
    const auto found = memo_.find(key);
    if (found == memo_.end()) {
      fail(fmt::format("got memo {}, which was not made before", key));
    }
    stack_.push_back(found->second);
  }
  // LONG1: little-endian, in two's complement.
  void push_long(uint64_t size) {
    const std::string_view digits = take(size);
    if (size > 8) {
      fail(fmt::format("got a whole number of {} bytes, wanted at most 8", size));
    }
    uint64_t value =
        size > 0 && (static_cast<unsigned char>(digits[size - 1]) & 0x80U) != 0 ? ~uint64_t{0} : 0;
    std::memcpy(&value, digits.data(), size);
    push_int(std::bit_cast<int64_t>(value));
  }
  // Big-endian, unlike all others.
  void push_float() {
    uint64_t value = 0;
    for (const char byte : take(8)) {
      value = value << 8 | static_cast<unsigned char>(byte);
    }
    push({.kind = Kind::Float, .real = std::bit_cast<double>(value)});
  }
  void call() {
    const size_t arguments = pop();
    const size_t callee = pop();
    if (result_.values[callee].kind != Kind::Global ||
        result_.values[arguments].kind != Kind::Tuple) {
      fail("wanted a name and a tuple to call it with");
    }
    // An ordered dict is a dict, which is filled later.
    if (result_.values[callee].text == "collections OrderedDict" &&
        result_.values[arguments].items.empty()) {
      push({.kind = Kind::Dict});
    } else {
      push({.kind = Kind::Call, .items = {callee, arguments}});
    }
  }
  void add_to_dict(const std::vector<size_t>& items) {
    if (items.size() % 2 != 0) {
      fail("got a key without a value");
    }
    PickleValue& dict = top(Kind::Dict, "a dict");
    dict.items.insert(dict.items.end(), items.begin(), items.end());
  }
  void add_to_list(const std::vector<size_t>& items) {
    PickleValue& list = top(Kind::List, "a list");
    list.items.insert(list.items.end(), items.begin(), items.end());
  }

  void run(char opcode) {
    switch (opcode) {
      case '\x80':  // PROTO
        if (const auto version = static_cast<unsigned char>(take(1)[0]); version > 5) {
          fail(fmt::format("got protocol {}, wanted at most 5", version));
        }
        return;
      case '\x95':  // FRAME
        take(8);
        return;
      case 'N':
        return push({});
      case '\x88':
        return push({.kind = Kind::Bool, .number = 1});
      case '\x89':
        return push({.kind = Kind::Bool, .number = 0});
      case 'J':
        return push_int(take_number<int32_t>());
      case 'K':
        return push_int(take_number<uint8_t>());
      case 'M':
        return push_int(take_number<uint16_t>());
      case '\x8a':
        return push_long(take_number<uint8_t>());
      case 'G':
        return push_float();
      case 'X':
        return push_string(take_number<uint32_t>());
      case '\x8c':
        return push_string(take_number<uint8_t>());
      case ')':
        return push({.kind = Kind::Tuple});
      case '\x85':
        return push_tuple(1);
      case '\x86':
        return push_tuple(2);
      case '\x87':
        return push_tuple(3);
      case 't':
        return push({.kind = Kind::Tuple, .items = pop_to_mark()});
      case ']':
        return push({.kind = Kind::List});
      case 'a':
        return add_to_list({pop()});
      case 'e':
        return add_to_list(pop_to_mark());
      case '}':
        return push({.kind = Kind::Dict});
      case 's': {
        const size_t value = pop();
        const size_t key = pop();
        return add_to_dict({key, value});
      }
      case 'u':
        return add_to_dict(pop_to_mark());
      case '(':
        count();
        marks_.push_back(stack_.size());
        return;
      case 'q':
        return remember(take_number<uint8_t>());
      case 'r':
        return remember(take_number<uint32_t>());
      case '\x94':  // MEMOIZE
        return remember(memo_.size());
      case 'h':
        return recall(take_number<uint8_t>());
      case 'j':
        return recall(take_number<uint32_t>());
      case 'c': {
        const std::string module = take_line();
        return push_global(module + " " + take_line());
      }
      case '\x93': {  // STACK_GLOBAL
        const std::string name = result_.values[pop()].text;
        return push_global(result_.values[pop()].text + " " + name);
      }
      case 'Q': {
        const size_t id = pop();
        return push({.kind = Kind::Persistent, .items = {id}});
      }
      case 'R':
        return call();
      case 'b':  // BUILD: attributes, such as a state dict's _metadata, of what stays
        pop();
        if (stack_.empty()) {
          fail("got an empty stack, wanted a value");
        }
        return;
      default:
        fail(fmt::format("got opcode {:#04x}{}, which no checkpoint of plain tensors needs",
                         static_cast<unsigned char>(opcode),
                         opcode >= ' ' && opcode <= '~' ? fmt::format(" ('{}')", opcode) : ""));
    }
  }

  std::string_view bytes_;
  const std::function<bool(const std::string&)>& is_allowed_;
  const std::function<void(const std::string&)>& fail_;
  size_t at_ = 0;
  size_t opcode_at_ = 0;
  Pickle result_;
  size_t others_ = 0;
  std::vector<size_t> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::map<uint64_t, size_t> memo_;
};

}  // namespace

Pickle read_pickle(std::string_view bytes,
                   const std::function<bool(const std::string& name)>& is_allowed,
                   const std::function<void(const std::string& message)>& fail) {
  return PickleReader(bytes, is_allowed, fail).read();
}

}  // namespace warptape
