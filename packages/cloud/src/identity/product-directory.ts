/** What access asks of products: which there are, and whose they are. */
export interface ProductRef {
  readonly id: number
  readonly slug: string
  readonly ownerId: string
}

export interface ProductDirectory<Product extends ProductRef = ProductRef> {
  find(idOrSlug: string): Product | undefined
  get(id: number): Product | undefined
}
