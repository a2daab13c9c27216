#include "base/files.h"

#include <carnot/error.h>
#include <carnot/names.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace carnot {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::path(testing::TempDir()) / "carnot-files-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const char* name) const { return (folder_ / name).string(); }
  void put(const std::string& path, std::string_view text) const {
    std::ofstream(path, std::ios::binary) << text;
  }
  static std::string get(const std::string& path) { return readTextFile(path); }
  int entries() const {
    return static_cast<int>(std::distance(fs::directory_iterator(folder_), {}));
  }

  fs::path folder_;
};

// The message of the Error (Io) that `call` throws.
template <typename Call>
std::string ioError(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Io) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(Files, Maps) {
  put(path("a"), "hello");
  auto file = MappedFile::open(path("a"));
  EXPECT_EQ(file->bytes().size(), 5u);
  EXPECT_EQ(std::memcmp(file->bytes().data(), "hello", 5), 0);
  EXPECT_EQ(file->path(), path("a"));
  // The mapping lives on when the name goes.
  fs::remove(path("a"));
  EXPECT_EQ(std::memcmp(file->bytes().data(), "hello", 5), 0);

  put(path("empty"), "");
  EXPECT_TRUE(MappedFile::open(path("empty"))->bytes().empty());
}

TEST_F(Files, MapRefusals) {
  std::string missing = ioError([&] { MappedFile::open(path("none")); });
  EXPECT_TRUE(contains(missing, path("none"))) << missing;
  EXPECT_TRUE(contains(missing, "No such file")) << missing;
  std::string folder = ioError([&] { MappedFile::open(folder_.string()); });
  EXPECT_TRUE(contains(folder, "is a folder")) << folder;
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  ioError([&] { MappedFile::open(path("pipe")); });  // without waiting for a writer
  ioError([&] { MappedFile::open("/dev/zero"); });
  ioError([&] { MappedFile::open(""); });
}

TEST_F(Files, ReadsText) {
  put(path("a"), std::string("x\0y\n", 4));
  EXPECT_EQ(readTextFile(path("a")), std::string("x\0y\n", 4));
  EXPECT_EQ(readTextFile("/proc/self/comm").back(), '\n');  // of size 0 by its own account
  ioError([&] { readTextFile(path("none")); });
  EXPECT_TRUE(contains(ioError([&] { readTextFile(folder_.string()); }), "is a folder"));
}

TEST_F(Files, CommitReplaces) {
  put(path("a"), "old");
  ::chmod(path("a").c_str(), 0640);
  {
    AtomicFile file(path("a"));
    file.write("new", 3);
    file.pad(8);
    EXPECT_EQ(file.size(), 8u);
    file.pad(8);
    EXPECT_EQ(file.size(), 8u);
    file.pad(10000);
    file.write("end", 3);
    EXPECT_EQ(get(path("a")), "old");  // until the commit
    file.commit();
    EXPECT_THROW(file.write("x", 1), Error);
    EXPECT_THROW(file.commit(), Error);
  }
  std::string text = get(path("a"));
  EXPECT_EQ(text.size(), 10003u);
  EXPECT_EQ(text.substr(0, 3), "new");
  EXPECT_EQ(text[3], '\0');
  EXPECT_EQ(text.substr(10000), "end");
  EXPECT_EQ(entries(), 1);
  EXPECT_EQ(fs::status(path("a")).permissions(), static_cast<fs::perms>(0640));
}

TEST_F(Files, AbandonLeavesTheOldAndNoDebris) {
  put(path("a"), "old");
  {
    AtomicFile file(path("a"));
    file.write("new", 3);
    EXPECT_EQ(entries(), 2);
  }
  EXPECT_EQ(get(path("a")), "old");
  { AtomicFile unwritten(path("b")); }
  EXPECT_EQ(entries(), 1);
}

TEST_F(Files, ReadersSeeOneVersionOrTheOther) {
  std::string a(300000, 'a'), b(300000, 'b');
  put(path("f"), a);
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!stop.load()) {
      std::string seen = get(path("f"));
      if (seen != a && seen != b) torn.fetch_add(1);
    }
  });
  for (int i = 0; i < 20; ++i) {
    AtomicFile file(path("f"));
    const std::string& text = i % 2 ? a : b;
    file.write(text.data(), 100000);
    file.write(text.data() + 100000, 200000);
    file.commit();
  }
  stop = true;
  reader.join();
  EXPECT_EQ(torn.load(), 0);
}

TEST_F(Files, WriteRefusals) {
  std::string missing = ioError([&] { AtomicFile(path("no/such/file")); });
  EXPECT_TRUE(contains(missing, path("no/such"))) << missing;
  EXPECT_TRUE(contains(missing, "make it")) << missing;
  EXPECT_TRUE(contains(ioError([&] { AtomicFile{folder_.string()}; }), "is a folder"));
  put(path("file"), "");
  ioError([&] { AtomicFile(path("file/below")); });
  ioError([&] { AtomicFile(path(std::string(300, 'x').c_str())).commit(); });  // name too long
  EXPECT_EQ(entries(), 1);
}

TEST_F(Files, LinksStayLinks) {
  put(path("target"), "old");
  fs::create_symlink("target", path("link"));
  AtomicFile file(path("link"));
  file.write("new", 3);
  file.commit();
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(get(path("target")), "new");
}

TEST_F(Files, DevicesAreWrittenInPlace) {
  {
    AtomicFile file("/dev/null");
    file.write("x", 1);
    file.commit();
  }
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  AtomicFile full("/dev/full");
  std::string message = ioError([&] { full.write("12345", 5); });
  EXPECT_TRUE(contains(message, "at least 5 bytes")) << message;
  EXPECT_THROW(full.commit(), Error);
  EXPECT_TRUE(fs::exists("/dev/full"));
}

TEST_F(Files, FullDisk) {
  std::string mount = path("small");
  fs::create_directory(mount);
  if (::mount("carnot-test", mount.c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "needs the right to mount";
  std::string target = mount + "/engine", message;
  put(target, "old");
  std::string data(200 * 1024, 'x');
  {
    AtomicFile file(target);
    file.write(data.data(), data.size());
    message = ioError([&] { file.write(data.data(), data.size()); });
    EXPECT_THROW(file.commit(), Error);
  }
  EXPECT_TRUE(contains(message, "at least 409600 bytes")) << message;
  EXPECT_TRUE(contains(message, target)) << message;
  EXPECT_EQ(get(target), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(mount), {}), 1);
  {
    AtomicFile file(target);  // and what fits still goes in
    file.write(data.data(), data.size());
    file.commit();
  }
  EXPECT_EQ(fs::file_size(target), data.size());
  ::umount(mount.c_str());
}

TEST_F(Files, FileSizeLimit) {
  struct rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string data(10000, 'x'), message;
  {
    AtomicFile file(path("a"));
    message = ioError([&] { file.write(data.data(), data.size()); });  // after a short write
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(contains(message, "at least 10000 bytes")) << message;
  EXPECT_EQ(entries(), 0);
}

TEST_F(Files, InterruptedWritesGoOn) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  struct sigaction action = {}, before;
  action.sa_handler = [](int) {};  // without SA_RESTART
  ::sigaction(SIGUSR1, &action, &before);
  std::string received, sent(3 << 20, '\0');
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 2654435761u >> 13);
  pthread_t writer = ::pthread_self();
  std::thread reader([&] {
    int descriptor = ::open(path("pipe").c_str(), O_RDONLY);
    char block[30000];
    for (ssize_t got; (got = ::read(descriptor, block, sizeof block)) > 0;) {
      received.append(block, static_cast<size_t>(got));
      if (received.size() < sent.size()) ::pthread_kill(writer, SIGUSR1);
    }
    ::close(descriptor);
  });
  {
    AtomicFile file(path("pipe"));
    file.write(sent.data(), sent.size());
    file.commit();
  }
  reader.join();
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_TRUE(received == sent) << received.size();
}

TEST_F(Files, CacheFolder) {
  auto set = [](const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); };
  const char* names[] = {"CARNOT_CACHE", "XDG_CACHE_HOME", "HOME"};
  std::vector<std::pair<std::string, std::string>> before;
  for (const char* name : names)
    if (const char* value = std::getenv(name)) before.push_back({name, value});
  set("CARNOT_CACHE", path("deep/er"));
  EXPECT_EQ(cacheFolder(), path("deep/er"));
  EXPECT_TRUE(fs::is_directory(path("deep/er")));
  put(path("file"), "");
  set("CARNOT_CACHE", path("file/below"));
  EXPECT_EQ(cacheFolder(), "");
  ::unsetenv("CARNOT_CACHE");
  set("XDG_CACHE_HOME", path("xdg"));
  EXPECT_EQ(cacheFolder(), path("xdg/carnot"));
  set("XDG_CACHE_HOME", "relative");
  set("HOME", path("home"));
  EXPECT_EQ(cacheFolder(), path("home/.cache/carnot"));
  for (const char* name : names) ::unsetenv(name);
  for (const auto& [name, value] : before) set(name.c_str(), value);
}

TEST_F(Files, LocksExclude) {
  std::atomic<int> inside{0}, overlaps{0}, plain{0};
  int total = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        FileLock lock(path("cache"));
        if (inside.fetch_add(1) != 0) overlaps.fetch_add(1);
        total = plain.load() + 1;
        plain.store(total);
        inside.fetch_sub(1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(overlaps.load(), 0);
  EXPECT_EQ(plain.load(), 200);
  ioError([&] { FileLock lock(path("no/such/folder")); });
}

TEST(Error, ComposesItsParts) {
  Error error(ErrorCode::InvalidModel, "rank 3", "rank 4", "add a dimension");
  EXPECT_STREQ(error.what(), "rank 3; needs rank 4; add a dimension");
  error.within("node Conv_3 (Conv)").within("file m.onnx");
  EXPECT_STREQ(error.what(),
               "file m.onnx: node Conv_3 (Conv): rank 3; needs rank 4; add a dimension");
  EXPECT_EQ(error.context().size(), 2u);
  EXPECT_STREQ(Error(ErrorCode::Io, "x", "", "do y").what(), "x; do y");
  EXPECT_EQ(errorCodeName(ErrorCode::OutOfMemory), "OutOfMemory");
  EXPECT_THROW(ensure(false, "a rule"), Error);
  EXPECT_NO_THROW(ensure(true, "a rule"));
}

TEST(Error, ClosestName) {
  std::vector<std::string> names = {"--fp16", "--int8", "--saveEngine", "--loadEngine"};
  EXPECT_EQ(closest("--fp1", names), "--fp16");
  EXPECT_EQ(closest("--SAVEENGINE", names), "--saveEngine");
  EXPECT_EQ(closest("--loadEngin", names), "--loadEngine");
  EXPECT_EQ(closest("--verbose", names), "");
  EXPECT_EQ(closest("biuld", {"bench", "build"}), "build") << "neighbours swapped";
  EXPECT_EQ(closest("", names), "");
  EXPECT_EQ(closest(std::string(100000, 'x'), names), "");
}

TEST(Log, FiltersBySeverity) {
  std::vector<std::string> seen;
  Log log(Severity::Warning, [&](Severity, std::string_view text) { seen.emplace_back(text); });
  log.warning("a");
  log.info("b");
  log(Severity::Error, "c");
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "c"}));
  EXPECT_FALSE(Log().enabled(Severity::Internal));
  testing::internal::CaptureStderr();
  Log::toStderr(Severity::Info).warning("careful");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "carnot: warning: careful\n");
}

}  // namespace
}  // namespace carnot
