#include "tests/sim/loop_disk.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "format/status_macros.h"
#include "tests/child_process.h"

namespace quarry::sim {
namespace {

constexpr off_t kImageBytes = off_t{320} << 20;  // mkfs.xfs takes none under 300 MiB; sparse

// FS_IOC_SHUTDOWN, which no public header has.
constexpr unsigned long kShutdown = _IOR('X', 125, std::uint32_t);
constexpr std::uint32_t kWriteLog = 1;
constexpr std::uint32_t kWriteNothing = 2;

// REQUIRES: errno is that of the failed call.
Status Failed(const std::string& what, bool never = false) {
  const std::string text = what + ": " + std::generic_category().message(errno);
  return never ? Status::NotSupported(text) : Status::IoError(text);
}

// Attaches the image to a free loop device, which lets go of it when it is unmounted
// and the descriptor closed.
Result<int> Attach(int image, std::string* device) {
  const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return Failed("power cuts need loop devices: /dev/loop-control", true);
  constexpr int kAttempts = 20;  // another process may take the free one first
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int number = ::ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) {
      status = Failed("power cuts need loop devices: LOOP_CTL_GET_FREE", true);
      break;
    }
    *device = "/dev/loop" + std::to_string(number);
    const int fd = ::open(device->c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) {
      status = Failed("power cuts need loop devices: " + *device, true);
      break;
    }
    loop_config config{};
    config.fd = static_cast<__u32>(image);
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (::ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
      ::close(control);
      return fd;
    }
    status = Failed("attach " + *device);
    ::close(fd);
  }
  ::close(control);
  return status;
}

}  // namespace

Status LoopDisk::EnterPrivateMounts() {
  if (::geteuid() != 0) {
    return Status::NotSupported("power cuts on a file system need root, to mount it; this is uid " +
                                std::to_string(::geteuid()));
  }
  if (::unshare(CLONE_NEWNS) != 0) {
    return Failed("power cuts need a mount namespace (CAP_SYS_ADMIN): unshare", true);
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Failed("power cuts need private mounts: mount /", true);
  }
  return Status::Ok();
}

LoopDisk::~LoopDisk() {
  if (mounted_) (void)Unmount();  // else it goes with the process
  if (image_ >= 0) ::close(image_);
}

Status LoopDisk::Make(const std::string& type) {
  type_ = type;
  image_ = ::memfd_create("quarry-loop-disk", MFD_CLOEXEC);
  if (image_ < 0) return Failed("memfd_create");
  if (::ftruncate(image_, kImageBytes) != 0) return Failed("ftruncate");
  const std::string mkfs = "/sbin/mkfs." + type;
  if (::access(mkfs.c_str(), X_OK) != 0) {
    return Status::NotSupported("power cuts on " + type + " need " + mkfs + " (package " +
                                (type == "xfs" ? "xfsprogs" : "e2fsprogs") + ")");
  }
  const std::string image = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(image_);
  testing_support::ChildProcess maker(
      type == "xfs"
          ? std::vector<std::string>{mkfs, "-q", "-f", image}
          : std::vector<std::string>{mkfs, "-q", "-F", "-E", "lazy_itable_init=0", image});
  while (maker.NextLine()) {
  }
  if (const int code = maker.Wait(); code != 0) {
    return Status::IoError(mkfs + " ends with " + std::to_string(code));
  }
  if (::mkdir(path_.c_str(), 0700) != 0) return Failed("mkdir " + path_);
  return Mount();
}

Status LoopDisk::Mount() {
  std::string device;
  QUARRY_ASSIGN(const int loop, Attach(image_, &device));
  Status status;
  if (::mount(device.c_str(), path_.c_str(), type_.c_str(), 0, nullptr) == 0) {
    mounted_ = true;
  } else {
    const bool never = errno == ENODEV || errno == EPERM;
    status = Failed("mount " + type_ + " from " + device, never);
  }
  ::close(loop);
  return status;
}

Status LoopDisk::CutPower(bool log) {
  const int fd = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed("open " + path_);
  std::uint32_t flags = log ? kWriteLog : kWriteNothing;
  Status status;
  if (::ioctl(fd, kShutdown, &flags) != 0) {
    const bool never = errno == ENOTTY || errno == EOPNOTSUPP;
    status = Failed("FS_IOC_SHUTDOWN of " + type_, never);
  }
  ::close(fd);
  return status;
}

Status LoopDisk::Unmount() {
  if (::umount2(path_.c_str(), 0) != 0) return Failed("umount " + path_);
  mounted_ = false;
  return Status::Ok();
}

Status LoopDisk::MountAgain() {
  QUARRY_TRY(Unmount());
  return Mount();
}

}  // namespace quarry::sim
