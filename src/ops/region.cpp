#include "ops/region.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "ops/text_cursor.h"

namespace carnot {

Region Region::single(Operator op, std::span<const bool> inputPresent, int outputCount) {
  Region region;
  Step step{.op = std::move(op), .inputs = {}, .firstOutput = 0, .outputCount = outputCount};
  for (bool present : inputPresent) step.inputs.push_back(present ? region.inputCount++ : -1);
  step.firstOutput = region.inputCount;
  region.steps.push_back(std::move(step));
  for (int i = 0; i < outputCount; ++i) region.outputs.push_back(region.inputCount + i);
  return region;
}

int Region::tensorCount() const {
  return steps.empty() ? inputCount : steps.back().firstOutput + steps.back().outputCount;
}

const Region::Step* Region::producerOf(int tensor) const {
  for (const Step& step : steps)
    if (tensor >= step.firstOutput && tensor < step.firstOutput + step.outputCount) return &step;
  return nullptr;
}

int Region::useCount(int tensor) const {
  int uses = 0;
  for (const Step& step : steps)
    uses += static_cast<int>(std::count(step.inputs.begin(), step.inputs.end(), tensor));
  return uses;
}

const Region::Step* Region::anchor() const {
  for (const Step& step : steps)
    if (!step.isPointwise()) return &step;
  return nullptr;
}

bool Region::allPointwise() const { return anchor() == nullptr; }

std::vector<Update> Region::updates() const {
  std::map<int, int> written;  // local tensor: the input whose memory it is
  for (const Step& step : steps)
    for (const Update& update : step.op.definition().updates) {
      if (update.input >= step.inputs.size() || step.inputs[update.input] < 0) continue;
      const int from = step.inputs[update.input];
      auto earlier = written.find(from);
      const int memory = earlier == written.end() ? from : earlier->second;
      if (isInput(memory)) written[step.firstOutput + static_cast<int>(update.output)] = memory;
    }
  std::vector<Update> found;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (auto memory = written.find(outputs[i]); memory != written.end())
      found.push_back({static_cast<size_t>(memory->second), i});
  return found;
}

uint64_t Region::hash() const {
  uint64_t result = hashCombine(static_cast<uint64_t>(inputCount), steps.size());
  auto add = [&](auto value) { result = hashCombine(result, static_cast<uint64_t>(value)); };
  for (const Step& step : steps) {
    add(step.op.hash());
    add(step.inputs.size());
    for (int input : step.inputs) add(input);
    add(step.outputCount);
  }
  for (int output : outputs) add(output);
  return result;
}

std::string Region::label() const {
  std::string text;
  for (const Step& step : steps) {
    if (!text.empty()) text += '+';
    text += step.op.name();
  }
  return text;
}

namespace {

// a … z, aa, ab, …
std::string localName(int tensor) {
  if (tensor < 0) return "_";
  std::string name;
  for (int rest = tensor + 1; rest > 0; rest = (rest - 1) / 26)
    name.insert(name.begin(), static_cast<char>('a' + (rest - 1) % 26));
  return name;
}

std::string nameList(std::span<const int> tensors) {
  std::string text;
  for (size_t i = 0; i < tensors.size(); ++i) text += (i ? "," : "") + localName(tensors[i]);
  return text;
}

std::vector<int> sequence(int first, int count) {
  std::vector<int> numbers(count);
  for (int i = 0; i < count; ++i) numbers[i] = first + i;
  return numbers;
}

}  // namespace

std::string Region::toString() const {
  std::string text = "(" + nameList(sequence(0, inputCount)) + ") ";
  for (const Step& step : steps) {
    text += nameList(sequence(step.firstOutput, step.outputCount)) + "=" + step.op.toString();
    text += "(" + nameList(step.inputs) + ") ";
  }
  return text + "-> " + nameList(outputs);
}

Region Region::parse(std::string_view text) {
  TextCursor cursor(text);
  std::map<std::string, int, std::less<>> numbers;
  auto define = [&] {
    int number = static_cast<int>(numbers.size());
    std::string_view name = cursor.identifier();
    if (name == "_" || !numbers.emplace(name, number).second) cursor.fail("a name not used before");
  };
  auto use = [&](bool optional) {
    std::string_view name = cursor.identifier();
    if (name == "_" && optional) return -1;
    auto found = numbers.find(name);
    if (found == numbers.end()) cursor.fail("a name defined before");
    return found->second;
  };

  Region region;
  cursor.expect('(');
  if (!cursor.take(')')) {
    do define();
    while (cursor.take(','));
    cursor.expect(')');
  }
  region.inputCount = static_cast<int>(numbers.size());
  while (!cursor.take("->")) {
    Step step;
    step.firstOutput = static_cast<int>(numbers.size());
    do define();
    while (cursor.take(','));
    step.outputCount = static_cast<int>(numbers.size()) - step.firstOutput;
    cursor.expect('=');
    step.op = parseOperator(cursor);
    cursor.expect('(');
    if (!cursor.take(')')) {
      do {
        int input = use(true);
        if (input >= step.firstOutput) cursor.fail("an input that is not the step's own output");
        step.inputs.push_back(input);
      } while (cursor.take(','));
      cursor.expect(')');
    }
    region.steps.push_back(std::move(step));
  }
  if (!cursor.atEnd()) {
    do region.outputs.push_back(use(false));
    while (cursor.take(','));
  }
  cursor.expectEnd();
  return region;
}

}  // namespace carnot
