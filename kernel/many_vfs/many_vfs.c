// SPDX-License-Identifier: GPL-2.0-only
/*
 * PFs with thousands of VFs that are made of memory
 *
 * A host bridge with a PCI domain of its own.  Its PFs and VFs have config
 * space and nothing else: no BARs, no interrupts, no DMA.  That is all that the
 * PCI core needs to enable, add and remove VFs, so its handling of thousands of
 * them can be tested and measured, which no emulated device has.
 *
 * The PFs are functions 0 of the first devices on bus 0.  The VFs of all PFs
 * follow one after the other from the middle of bus 0 on, so that some are on
 * the bus of the PFs, ids cross from bus to bus in the middle of a PF, and PFs
 * share buses.
 */

#include <linux/module.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/unaligned.h>
#include <linux/vmalloc.h>

/* Not assigned to anybody, so no driver and no fixup is for it */
#define MANY_VENDOR_ID	0x6b76
#define MANY_PF_ID	0x0001
#define MANY_VF_ID	0x0002

#define MANY_MAX_PFS	16
#define MANY_FIRST_VF	(MANY_MAX_PFS << 3)
#define MANY_MAX_VFS	(0x10000 - MANY_FIRST_VF)

#define MANY_EXP	PCI_STD_HEADER_SIZEOF
#define MANY_SRIOV	PCI_CFG_SPACE_SIZE
#define MANY_CFG_SIZE	(MANY_SRIOV + PCI_EXT_CAP_SRIOV_SIZEOF)

#define MANY_CTRL	(PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE | \
			 PCI_SRIOV_CTRL_ARI)

static ushort pfs = 1;
module_param(pfs, ushort, 0444);
MODULE_PARM_DESC(pfs, "Number of PFs, 16 at most");

static ushort vfs = 4096;
module_param(vfs, ushort, 0444);
MODULE_PARM_DESC(vfs, "TotalVFs of each PF");

static bool busy;
module_param(busy, bool, 0644);
MODULE_PARM_DESC(busy, "The PFs' driver refuses to disable VFs");

/* Config space up to the end of what is not zero */
struct many_fn {
	u8 cfg[MANY_CFG_SIZE];
};

/* All PFs, then all VFs of the first PF, then those of the second, ... */
static struct many_fn *many_fns;

/* What a VF is after VF Enable, and the bits of each kind that can be written */
static struct many_fn many_new_vf, many_pf_mask, many_vf_mask;

/* Between the accesses of different CPUs, which x86 does not serialize */
static DEFINE_RAW_SPINLOCK(many_lock);

static struct pci_host_bridge *many_bridge;

static struct pci_sysdata many_sysdata = {
	.node = NUMA_NO_NODE,
};

static struct resource many_buses = {
	.name = "many_vfs",
	.start = 0x00,
	.end = 0xff,
	.flags = IORESOURCE_BUS,
};

static u16 many_get(const struct many_fn *fn, unsigned int where)
{
	return get_unaligned_le16(&fn->cfg[where]);
}

static void many_set(struct many_fn *fn, unsigned int where, u16 value)
{
	put_unaligned_le16(value, &fn->cfg[where]);
}

static bool many_vfs_enabled(const struct many_fn *pf)
{
	return many_get(pf, MANY_SRIOV + PCI_SRIOV_CTRL) & PCI_SRIOV_CTRL_VFE;
}

/* The function that answers to an address, if there is one */
static struct many_fn *many_find(struct pci_bus *bus, unsigned int devfn)
{
	unsigned int id = PCI_DEVID(bus->number, devfn);
	struct many_fn *pf;

	if (id < MANY_FIRST_VF) {
		if (PCI_FUNC(id) || PCI_SLOT(id) >= pfs)
			return NULL;

		return &many_fns[PCI_SLOT(id)];
	}

	id -= MANY_FIRST_VF;
	if (id >= pfs * vfs)
		return NULL;

	pf = &many_fns[id / vfs];
	if (!many_vfs_enabled(pf) ||
	    id % vfs >= many_get(pf, MANY_SRIOV + PCI_SRIOV_NUM_VF))
		return NULL;

	return &many_fns[pfs + id];
}

static int many_read(struct pci_bus *bus, unsigned int devfn, int where,
		     int size, u32 *value)
{
	struct many_fn *fn;
	unsigned long flags;
	int i;

	raw_spin_lock_irqsave(&many_lock, flags);
	fn = many_find(bus, devfn);
	*value = fn ? 0 : ~0;
	for (i = 0; fn && i < size && where + i < MANY_CFG_SIZE; i++)
		*value |= (u32)fn->cfg[where + i] << (8 * i);
	raw_spin_unlock_irqrestore(&many_lock, flags);

	return fn ? PCIBIOS_SUCCESSFUL : PCIBIOS_DEVICE_NOT_FOUND;
}

/* NumVFs cannot be changed while VF Enable is set */
static bool many_fixed(const struct many_fn *fn, int where)
{
	return (where & ~1) == MANY_SRIOV + PCI_SRIOV_NUM_VF &&
	       many_vfs_enabled(fn);
}

static int many_write(struct pci_bus *bus, unsigned int devfn, int where,
		      int size, u32 value)
{
	bool is_pf, enabled = false;
	struct many_fn *fn;
	unsigned long flags;
	int i, nr;
	u8 mask;

	raw_spin_lock_irqsave(&many_lock, flags);
	fn = many_find(bus, devfn);
	if (!fn)
		goto unlock;

	nr = fn - many_fns;
	is_pf = nr < pfs;
	if (is_pf)
		enabled = many_vfs_enabled(fn);

	for (i = 0; i < size && where + i < MANY_CFG_SIZE; i++, value >>= 8) {
		mask = (is_pf ? &many_pf_mask : &many_vf_mask)->cfg[where + i];
		if (is_pf && many_fixed(fn, where + i))
			mask = 0;
		fn->cfg[where + i] &= ~mask;
		fn->cfg[where + i] |= value & mask;
	}

	/* VF Enable makes new VFs */
	if (is_pf && !enabled && many_vfs_enabled(fn)) {
		for (i = 0; i < vfs; i++)
			many_fns[pfs + nr * vfs + i] = many_new_vf;
	}
unlock:
	raw_spin_unlock_irqrestore(&many_lock, flags);

	return fn ? PCIBIOS_SUCCESSFUL : PCIBIOS_DEVICE_NOT_FOUND;
}

static struct pci_ops many_ops = {
	.read = many_read,
	.write = many_write,
};

/* A root complex integrated endpoint */
static void many_set_up(struct many_fn *fn, u16 vendor, u16 device)
{
	many_set(fn, PCI_VENDOR_ID, vendor);
	many_set(fn, PCI_DEVICE_ID, device);
	many_set(fn, PCI_STATUS, PCI_STATUS_CAP_LIST);
	many_set(fn, PCI_CLASS_DEVICE, PCI_CLASS_OTHERS << 8);
	many_set(fn, PCI_SUBSYSTEM_VENDOR_ID, MANY_VENDOR_ID);
	many_set(fn, PCI_CAPABILITY_LIST, MANY_EXP);
	many_set(fn, MANY_EXP, PCI_CAP_ID_EXP);
	many_set(fn, MANY_EXP + PCI_EXP_FLAGS, PCI_EXP_TYPE_RC_END << 4 | 2);
}

static void many_set_up_pf(int nr)
{
	u16 offset = MANY_FIRST_VF + nr * vfs - PCI_DEVFN(nr, 0);
	struct many_fn *fn = &many_fns[nr];

	many_set_up(fn, MANY_VENDOR_ID, MANY_PF_ID);
	many_set(fn, MANY_SRIOV, PCI_EXT_CAP_ID_SRIOV);
	many_set(fn, MANY_SRIOV + 2, 1); /* Version, and no next capability */
	many_set(fn, MANY_SRIOV + PCI_SRIOV_INITIAL_VF, vfs);
	many_set(fn, MANY_SRIOV + PCI_SRIOV_TOTAL_VF, vfs);
	many_set(fn, MANY_SRIOV + PCI_SRIOV_VF_OFFSET, offset);
	many_set(fn, MANY_SRIOV + PCI_SRIOV_VF_STRIDE, 1);
	many_set(fn, MANY_SRIOV + PCI_SRIOV_VF_DID, MANY_VF_ID);
	many_set(fn, MANY_SRIOV + PCI_SRIOV_SUP_PGSIZE, 0x553);
	many_set(fn, MANY_SRIOV + PCI_SRIOV_SYS_PGSIZE, 1);
}

static int many_make_functions(void)
{
	int nr;

	many_fns = vcalloc(pfs + pfs * vfs, sizeof(*many_fns));
	if (!many_fns)
		return -ENOMEM;

	/* VFs have no ids of their own, see PCIe r6.0, sec 9.3.4.1 */
	many_set_up(&many_new_vf, 0xffff, 0xffff);
	many_set(&many_vf_mask, PCI_COMMAND, PCI_COMMAND_MASTER);

	for (nr = 0; nr < pfs; nr++)
		many_set_up_pf(nr);

	many_set(&many_pf_mask, PCI_COMMAND,
		 PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	many_set(&many_pf_mask, MANY_EXP + PCI_EXP_DEVCTL, 0x7fff);
	many_set(&many_pf_mask, MANY_SRIOV + PCI_SRIOV_CTRL, MANY_CTRL);
	many_set(&many_pf_mask, MANY_SRIOV + PCI_SRIOV_NUM_VF, 0xffff);
	many_set(&many_pf_mask, MANY_SRIOV + PCI_SRIOV_SYS_PGSIZE, 0xffff);

	return 0;
}

static int many_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
#ifdef HAVE_ABSENT_VFS
	pci_sriov_allow_absent_vfs(pdev);
#endif
	return 0;
}

static void many_remove(struct pci_dev *pdev)
{
	pci_disable_sriov(pdev);
}

/* Some drivers have reasons not to disable VFs, e.g. that they are assigned */
static int many_configure(struct pci_dev *pdev, int nr_virtfn)
{
	if (busy && !nr_virtfn)
		return -EBUSY;

	return pci_sriov_configure_simple(pdev, nr_virtfn);
}

static const struct pci_device_id many_ids[] = {
	{ PCI_DEVICE(MANY_VENDOR_ID, MANY_PF_ID) },
	{ }
};

static struct pci_driver many_driver = {
	.name = "many_vfs",
	.id_table = many_ids,
	.probe = many_probe,
	.remove = many_remove,
	.sriov_configure = many_configure,
};

/* Above those that firmware can know, like vmd_find_free_domain() */
static int many_free_domain(void)
{
	struct pci_bus *bus = NULL;
	int domain = 0xffff;

	while ((bus = pci_find_next_bus(bus)))
		domain = max(domain, pci_domain_nr(bus));

	return domain + 1;
}

static int many_add_bridge(void)
{
	int ret;

	many_bridge = pci_alloc_host_bridge(0);
	if (!many_bridge)
		return -ENOMEM;

	pci_lock_rescan_remove();
	many_sysdata.domain = many_free_domain();
	many_bridge->sysdata = &many_sysdata;
	many_bridge->ops = &many_ops;
	pci_add_resource(&many_bridge->windows, &many_buses);
	ret = pci_scan_root_bus_bridge(many_bridge);
	if (!ret)
		pci_bus_add_devices(many_bridge->bus);
	pci_unlock_rescan_remove();

	if (ret)
		pci_free_host_bridge(many_bridge);

	return ret;
}

static void many_remove_bridge(void)
{
	pci_lock_rescan_remove();
	pci_stop_root_bus(many_bridge->bus);
	pci_remove_root_bus(many_bridge->bus);
	pci_unlock_rescan_remove();

	pci_free_host_bridge(many_bridge);
}

static int __init many_init(void)
{
	int ret;

	if (!pfs || pfs > MANY_MAX_PFS || !vfs || pfs * vfs > MANY_MAX_VFS)
		return -EINVAL;

	ret = many_make_functions();
	if (ret)
		return ret;

	ret = pci_register_driver(&many_driver);
	if (ret)
		goto free;

	ret = many_add_bridge();
	if (ret)
		goto unregister;

	return 0;

unregister:
	pci_unregister_driver(&many_driver);
free:
	vfree(many_fns);

	return ret;
}

static void __exit many_exit(void)
{
	/* First, so that VFs are removed like those of any other driver */
	pci_unregister_driver(&many_driver);
	many_remove_bridge();
	vfree(many_fns);
}

module_init(many_init);
module_exit(many_exit);

MODULE_DESCRIPTION("PFs with thousands of VFs that are made of memory");
MODULE_LICENSE("GPL");
